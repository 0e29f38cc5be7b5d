import { hash } from 'node:crypto';
import type { ImageFacts, PixelIdentity } from '../../contracts/datasets/datasets.js';
import { readHeader, undecodable, type ImageFault, type ImageLimits } from './header.js';
import { identifyPixels } from './pixel-identity.js';

export { minimumSide, type ImageLimits } from './header.js';

export type Inspection = { ok: true; facts: ImageFacts & PixelIdentity } | ImageFault;

/**
 * Facts about an image for ingestion, from its bytes alone. All its pixels are decoded, by the rules of training and
 * serving, so that an image that passes here cannot fail there. Width and height are those of the stored pixels.
 */
export async function inspectImage(bytes: Uint8Array, limits: ImageLimits): Promise<Inspection> {
  const header = await readHeader(bytes, limits);
  if (!header.ok) return header;
  const { format, width, height } = header;
  try {
    const identity = await identifyPixels(bytes, header, { limits });
    const sha256 = hash('sha256', bytes);
    const md5 = hash('md5', bytes);
    return { ok: true, facts: { sha256, md5, sizeBytes: bytes.length, format, width, height, ...identity } };
  } catch (error) {
    return undecodable(bytes, format, error);
  }
}

const anySize: ImageLimits = { maxPixels: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER, minSide: 1 };

/** What an image shows that an earlier release ingested; null when it cannot be decoded. */
export async function identifyIngested(bytes: Uint8Array): Promise<PixelIdentity | null> {
  const header = await readHeader(bytes, anySize);
  if (!header.ok) return null;
  return identifyPixels(bytes, header, { limits: anySize, acceptsPartial: true }).catch(() => null);
}
