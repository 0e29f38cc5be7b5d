/** Matches a text within `toMatchObject`, where a regular expression alone would match anything. */
export function textMatching(pattern: RegExp): unknown {
  return expect.stringMatching(pattern);
}
