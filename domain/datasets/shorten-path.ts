import { hash } from 'node:crypto';

/** UTF-8 bytes of a path that fit into every database index, beside the other columns of the key. */
export const maxPathBytes = 1_000;

/** Returns the path; if it is too long, its beginning and a digest of the whole path, which stays unique. */
export function shortenPath(path: string): string {
  const bytes = Buffer.from(path);
  if (bytes.length <= maxPathBytes) return path;
  const ending = `…${hash('sha256', bytes).slice(0, 16)}`;
  let end = maxPathBytes - Buffer.byteLength(ending);
  // Do not cut inside a character: its second and later bytes begin with the bits 10.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end) + ending;
}
