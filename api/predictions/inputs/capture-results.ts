/** Results of capturing an image. */
export const inputResults = ['kept', 'spooled', 'dropped', 'unreadable', 'erased'] as const;
export type InputResult = (typeof inputResults)[number];
