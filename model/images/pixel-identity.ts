import { createHash } from 'node:crypto';
import { pixelVersion, type PixelIdentity } from '../../contracts/datasets/datasets.js';
import { inputSize } from '../../contracts/training/training.js';
import type { ImageHeader, ImageLimits } from './header.js';
import { orient } from './orient.js';
import { decodeRaw, reduceRaw, type DecodeOrder } from './raw-pixels.js';
import { resample, type RgbImage } from './resample.js';

/**
 * What an image shows, whatever its file: the digest of all its pixels as they are shown. The decoding for it is fixed:
 * it has nothing to do with the preprocessing. Where it must change, `pixelVersion` rises.
 * @throws the decoder's error
 */
export async function identifyPixels(
  bytes: Uint8Array,
  header: ImageHeader,
  { limits, acceptsPartial = false }: { limits: Pick<ImageLimits, 'maxPixels'>; acceptsPartial?: boolean },
): Promise<PixelIdentity> {
  const order: DecodeOrder = { header, limits, acceptsPartial };
  const data = await decodeRaw(bytes, order, (image) => image);
  const { width, height, orientation } = header;
  if (data.length !== width * height * 3)
    throw new Error(`decoded to ${data.length} bytes, not ${width}×${height} RGB`);
  const shown = orient({ data, width, height }, orientation);
  return { pixelSha256: digestOf(shown), pixelVersion, perceptualHash: differenceHash(await reduceRaw(shown)) };
}

function digestOf({ data, width, height }: RgbImage): string {
  return createHash('sha256').update(`${width}x${height} RGB\n`).update(data).digest('hex');
}

const [columns, rows] = [9, 8];

/**
 * A perceptual hash of 64 bits: of each of 8 rows, whether the grey falls from one of 9 columns to the next. Scaled and
 * re-encoded copies differ in a few bits.
 */
function differenceHash(image: RgbImage): string {
  const pixels = resample(image);
  const greys = Array.from({ length: rows * columns }, (_, at) =>
    greyOf(pixels, at % columns, Math.floor(at / columns)),
  );
  const bits = greys.flatMap((grey, at) => (at % columns === columns - 1 ? [] : [grey > (greys[at + 1] ?? 0) ? 1 : 0]));
  return BigInt(`0b${bits.join('')}`)
    .toString(16)
    .padStart(16, '0');
}

/** Sum of red, green and blue, weighted for the eye, over one cell of the grid; whole numbers, so equal on every machine. */
function greyOf(pixels: Uint8Array, column: number, row: number): number {
  const [left, right] = [column, column + 1].map((edge) => Math.round((edge * inputSize) / columns));
  const [top, bottom] = [row, row + 1].map((edge) => Math.round((edge * inputSize) / rows));
  let sum = 0;
  for (let y = top ?? 0; y < (bottom ?? 0); y += 1) {
    for (let x = left ?? 0; x < (right ?? 0); x += 1) {
      const at = (y * inputSize + x) * 3;
      sum += 299 * (pixels[at] ?? 0) + 587 * (pixels[at + 1] ?? 0) + 114 * (pixels[at + 2] ?? 0);
    }
  }
  // Cells differ by a column of pixels in size.
  return Math.round(sum / (((right ?? 0) - (left ?? 0)) * ((bottom ?? 0) - (top ?? 0))));
}
