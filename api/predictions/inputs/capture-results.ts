/** What became of a picture that the policy wanted kept. */
export const inputResults = ['kept', 'spooled', 'dropped', 'unreadable', 'erased'] as const;
export type InputResult = (typeof inputResults)[number];
