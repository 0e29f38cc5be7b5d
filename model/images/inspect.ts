import { hash } from 'node:crypto';
import type { ImageFacts } from '../../contracts/datasets/datasets.js';
import { decodeImage } from './decode.js';
import type { ImageFault, ImageLimits } from './header.js';

export { minimumSide, type ImageLimits } from './header.js';

export type Inspection = { ok: true; facts: ImageFacts } | ImageFault;

/**
 * Facts about an image for ingestion, from its bytes alone. The image is decoded exactly as for training and serving,
 * so that an image that passes here cannot fail there. Width and height are those of the stored pixels.
 */
export async function inspectImage(bytes: Uint8Array, limits: ImageLimits): Promise<Inspection> {
  const decoded = await decodeImage(bytes, limits);
  if (!decoded.ok) return decoded;
  const { format, width, height } = decoded.header;
  const sha256 = hash('sha256', bytes);
  const md5 = hash('md5', bytes);
  return { ok: true, facts: { sha256, md5, sizeBytes: bytes.length, format, width, height } };
}
