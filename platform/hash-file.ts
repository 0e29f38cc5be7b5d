import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

export interface FileDigest {
  sha256: string;
  sizeBytes: number;
}

/** SHA-256 and size of a file, read as a stream. */
export async function hashFile(path: string): Promise<FileDigest> {
  const hash = createHash('sha256');
  const bytes = createReadStream(path);
  await pipeline(bytes, hash);
  return { sha256: hash.digest('hex'), sizeBytes: bytes.bytesRead };
}
