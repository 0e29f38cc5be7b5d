/** Content of a notification; `path` is the API path with details, if there is one. */
export interface NotificationDraft {
  subject: string;
  sentences: readonly (string | null)[];
  path?: string | null;
}

/** Reads a field of a payload, which another release may have written; null when it is missing. */
export type ReadField = (name: string) => string | null;

export type DraftWriter = (read: ReadField, event: string) => NotificationDraft;

/** Adds a full stop unless the text ends with punctuation. */
export function sentence(words: string | null): string | null {
  if (words === null) return null;
  return /[.!?…]$/.test(words) ? words : `${words}.`;
}
