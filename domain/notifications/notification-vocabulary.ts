/** What a kind of message says; `path` is an address of the API, where there is one to look at. */
export interface Vocabulary {
  subject: string;
  sentences: readonly (string | null)[];
  path?: string | null;
}

/** Reads a member of a payload that another release may have written; null when it is not there. */
export type Read = (name: string) => string | null;

export type Writer = (read: Read, event: string) => Vocabulary;

/** Words that end as a sentence does. */
export function sentence(words: string | null): string | null {
  if (words === null) return null;
  return /[.!?…]$/.test(words) ? words : `${words}.`;
}
