/** Matches a string inside `toMatchObject`, which would not apply a plain regular expression. */
export function textMatching(pattern: RegExp): unknown {
  return expect.stringMatching(pattern);
}
