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
  const greys = greysOf(resample(image));
  const bits = greys.flatMap((grey, at) => (at % columns === columns - 1 ? [] : [grey > (greys[at + 1] ?? 0) ? 1 : 0]));
  return BigInt(`0b${bits.join('')}`)
    .toString(16)
    .padStart(16, '0');
}

/** Where the columns of the grid begin, and where the last one ends. They differ by a pixel in size. */
const edges = Array.from({ length: columns + 1 }, (_, column) => Math.round((column * inputSize) / columns));
const rowHeight = inputSize / rows;

/** The grey of each cell of the grid, row by row; whole numbers, so equal on every machine. */
function greysOf(pixels: Uint8Array): number[] {
  const sums = new Float64Array(rows * columns);
  const widths = edges.slice(1).map((right, column) => right - (edges[column] ?? 0));
  for (let y = 0; y < inputSize; y += 1) {
    const first = Math.floor(y / rowHeight) * columns;
    for (let column = 0; column < columns; column += 1) {
      const [from, to] = [y * inputSize + (edges[column] ?? 0), y * inputSize + (edges[column + 1] ?? 0)];
      sums[first + column] = (sums[first + column] ?? 0) + greySum(pixels, from, to);
    }
  }
  return Array.from(sums, (sum, cell) => Math.round(sum / ((widths[cell % columns] ?? 1) * rowHeight)));
}

/** Sum of red, green and blue, weighted for the eye, over pixels that stand side by side. */
function greySum(pixels: Uint8Array, from: number, to: number): number {
  let [red, green, blue] = [0, 0, 0];
  for (let at = from * 3; at < to * 3; at += 3) {
    red += pixels[at] ?? 0;
    green += pixels[at + 1] ?? 0;
    blue += pixels[at + 2] ?? 0;
  }
  return 299 * red + 587 * green + 114 * blue;
}
