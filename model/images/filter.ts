import { inputSize } from '../../contracts/training/training.js';
import { oneBits, placeBytes } from './resample-kernel.js';

/** A triangle filter from a side of an image to `inputSize` places, as the passes of the resampler read it. */
export interface Filter {
  /** For each place the first source pixel and how many pairs of weights follow; then all weights. */
  bytes: Uint8Array;
  weightsAt: number;
}

/** Most filters kept, of 3 to 20 kB: photographs from many places have many sizes of sides. */
const mostFilters = 256;
const filters = new Map<number, Filter>();

export function filterOf(side: number): Filter {
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
  const places: number[] = [];
  const weights: number[] = [];
  for (let place = 0; place < inputSize; place += 1) {
    const centre = (place + 0.5) * scale - 0.5;
    const start = Math.max(0, Math.floor(centre - reach) + 1);
    const end = Math.min(side, Math.ceil(centre + reach));
    const shares = Array.from({ length: end - start }, (_, at) => reach - Math.abs(start + at - centre));
    places.push(start, Math.ceil(shares.length / 2));
    weights.push(...wholeWeights(shares), ...(shares.length % 2 === 0 ? [] : [0]));
  }
  const weightsAt = inputSize * placeBytes;
  const bytes = new Uint8Array(weightsAt + weights.length * 2);
  new Int32Array(bytes.buffer, 0, places.length).set(places);
  new Int16Array(bytes.buffer, weightsAt).set(weights);
  return { bytes, weightsAt };
}

/** Scaled so that they add up to exactly one; the largest weight takes what rounding leaves. */
function wholeWeights(shares: readonly number[]): number[] {
  const total = shares.reduce((sum, share) => sum + share, 0);
  const whole = shares.map((share) => Math.round((share / total) * (1 << oneBits)));
  const largest = whole.indexOf(Math.max(...whole));
  const rest = (1 << oneBits) - whole.reduce((sum, weight) => sum + weight, 0);
  return whole.map((weight, at) => (at === largest ? weight + rest : weight));
}
