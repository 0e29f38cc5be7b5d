import { createHash } from 'node:crypto';
import type { Example } from '../../contracts/datasets/datasets.js';

/** SHA-256 over the content of a version: each image, in the order of the hashes, with its label and its split. */
export function datasetDigest(examples: readonly Example[]): string {
  const hash = createHash('sha256');
  for (const { sha256, label, side } of examples) hash.update(`${JSON.stringify([sha256, label, side])}\n`);
  return hash.digest('hex');
}
