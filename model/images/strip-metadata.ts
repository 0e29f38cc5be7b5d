import { sniffFormat } from './format.js';
import type { ImageFormat } from '../../contracts/datasets/datasets.js';
import { stripJpeg } from './strip-jpeg.js';
import { stripPng, stripWebp } from './strip-chunks.js';

export interface Stripped {
  format: ImageFormat;
  bytes: Uint8Array;
}

/**
 * An image without what its file tells besides the picture: place, time, camera, person, comments, thumbnails. Nothing
 * is decoded or encoded anew, so that every pixel stays as it is; the colour profile and the way the picture is turned
 * stay too. Null for bytes whose structure cannot be followed, of which nobody could say what they tell. Never throws.
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
