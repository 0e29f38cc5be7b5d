import { hash } from 'node:crypto';

/** Bytes of a path, in UTF-8, that fit into every index of ours beside what else is in its key. */
export const maxPathBytes = 1_000;

/** The path itself, or when it is too long its beginning and a digest of the whole, which stays unique. */
export function shortenPath(path: string): string {
  const bytes = Buffer.from(path);
  if (bytes.length <= maxPathBytes) return path;
  const ending = `…${hash('sha256', bytes).slice(0, 16)}`;
  let end = maxPathBytes - Buffer.byteLength(ending);
  // Not in the middle of a character: its later bytes all begin with the bits 10.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end) + ending;
}
