/** Matches a text within `toMatchObject`, where a regular expression alone would match anything. */
export function saying(pattern: RegExp): unknown {
  return expect.stringMatching(pattern);
}
