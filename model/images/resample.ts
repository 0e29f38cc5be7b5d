import { inputSize } from '../../contracts/training/training.js';

/** RGB 0–255, row by row. */
export interface RgbImage {
  data: Uint8Array;
  width: number;
  height: number;
}

/** What is added to red, green and blue, in levels, before they are rounded. */
export type Lift = readonly [red: number, green: number, blue: number];
const noLift: Lift = [0, 0, 0];

/** Weights are whole numbers that add up to this: sums are exact, so every machine gets the same pixels. */
const oneBits = 14;
/** Bits that the sums of the first pass lose: those of the second must fit into 31. */
const lostBits = 8;
const lastBits = 2 * oneBits - lostBits;
const half = 1 << (lastBits - 1);
const rowValues = inputSize * 3;

/** For each of `inputSize` places: the first source pixel, how many follow, and their weights one after another. */
interface Filter {
  starts: Int32Array;
  counts: Int32Array;
  weights: Int32Array;
}

/**
 * Resizes an image to the input of a network with a triangle filter, aligned at the centres of pixels: bilinear where a
 * side is enlarged, and the average of all pixels under the triangle where it is reduced. A mirrored or turned image gives
 * the mirrored or turned result, within 1 of 255. Pillow's `BILINEAR` and TensorFlow's `antialias=True` compute the same.
 */
export function resample(image: RgbImage, lift: Lift = noLift): Uint8Array {
  return reduceRows(reduceColumns(image, lift), filterOf(image.height));
}

/** Rows of the first pass. Kept between calls, because clearing new memory would take as long as filling it. */
let rows = new Int32Array(0);

function reduceColumns({ data, width, height }: RgbImage, lift: Lift): Int32Array {
  const [liftRed, liftGreen, liftBlue] = lift.map((levels) => Math.round(levels * (1 << oneBits)));
  const { starts, counts, weights } = filterOf(width);
  if (rows.length < height * rowValues) rows = new Int32Array(height * rowValues);
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0, tap = 0; x < inputSize; x += 1, to += 3) {
      let at = (y * width + at32(starts, x)) * 3;
      let [red, green, blue] = [liftRed ?? 0, liftGreen ?? 0, liftBlue ?? 0];
      for (const end = tap + at32(counts, x); tap < end; tap += 1, at += 3) {
        const weight = at32(weights, tap);
        red += Math.imul(weight, data[at] ?? 0);
        green += Math.imul(weight, data[at + 1] ?? 0);
        blue += Math.imul(weight, data[at + 2] ?? 0);
      }
      rows[to] = red >> lostBits;
      rows[to + 1] = green >> lostBits;
      rows[to + 2] = blue >> lostBits;
    }
  }
  return rows;
}

const sums = new Int32Array(rowValues);

function reduceRows(source: Int32Array, { starts, counts, weights }: Filter): Uint8Array {
  const pixels = new Uint8ClampedArray(inputSize * rowValues);
  for (let y = 0, tap = 0; y < inputSize; y += 1) {
    sums.fill(half);
    let from = at32(starts, y) * rowValues;
    for (const end = tap + at32(counts, y); tap < end; tap += 1, from += rowValues) {
      const weight = at32(weights, tap);
      for (let at = 0; at < rowValues; at += 1) sums[at] = at32(sums, at) + Math.imul(weight, at32(source, from + at));
    }
    const to = y * rowValues;
    for (let at = 0; at < rowValues; at += 1) pixels[to + at] = at32(sums, at) >> lastBits;
  }
  return new Uint8Array(pixels.buffer);
}

function at32(values: Int32Array, at: number): number {
  return values[at] ?? 0;
}

/** Most filters kept; photographs of one camera have two sizes of sides. */
const mostFilters = 64;
const filters = new Map<number, Filter>();

function filterOf(side: number): Filter {
  const known = filters.get(side);
  if (known) return known;
  if (filters.size >= mostFilters) filters.clear();
  const filter = createFilter(side);
  filters.set(side, filter);
  return filter;
}

function createFilter(side: number): Filter {
  const scale = side / inputSize;
  const reach = Math.max(1, scale);
  const starts = new Int32Array(inputSize);
  const counts = new Int32Array(inputSize);
  const weights: number[] = [];
  for (let place = 0; place < inputSize; place += 1) {
    const centre = (place + 0.5) * scale - 0.5;
    const start = Math.max(0, Math.floor(centre - reach) + 1);
    const end = Math.min(side, Math.ceil(centre + reach));
    starts[place] = start;
    counts[place] = end - start;
    weights.push(
      ...wholeWeights(Array.from({ length: end - start }, (_, at) => reach - Math.abs(start + at - centre))),
    );
  }
  return { starts, counts, weights: Int32Array.from(weights) };
}

/** Scaled so that they add up to exactly one; the largest weight takes what rounding leaves. */
function wholeWeights(shares: readonly number[]): number[] {
  const total = shares.reduce((sum, share) => sum + share, 0);
  const whole = shares.map((share) => Math.round((share / total) * (1 << oneBits)));
  const largest = whole.indexOf(Math.max(...whole));
  const rest = (1 << oneBits) - whole.reduce((sum, weight) => sum + weight, 0);
  return whole.map((weight, at) => (at === largest ? weight + rest : weight));
}
