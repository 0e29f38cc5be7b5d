import { sniffFormat } from './format.js';
import type { ImageFormat } from '../../contracts/datasets/datasets.js';
import { stripJpeg } from './strip-jpeg.js';
import { stripPng, stripWebp } from './strip-chunks.js';

export interface Stripped {
  format: ImageFormat;
  bytes: Uint8Array;
}

/**
 * Removes metadata from an image: place, time, camera, person, comments, thumbnails. The image is not re-encoded, so no
 * pixel changes; colour profile and orientation are kept. Null for malformed files, whose metadata cannot be found
 * reliably. Never throws.
 */
export function stripMetadata(bytes: Uint8Array): Stripped | null {
  const format = sniffFormat(bytes);
  if (format === null) return null;
  const stripped = strippers[format](Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return stripped && { format, bytes: stripped };
}

const strippers: Record<ImageFormat, (bytes: Buffer) => Buffer | null> = {
  jpeg: stripJpeg,
  png: stripPng,
  webp: stripWebp,
};
