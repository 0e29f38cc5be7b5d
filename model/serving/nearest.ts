import type { FeatureTransform } from '../../contracts/registry/bundle.js';
import { comparisonVector } from '../features/unit-vectors.js';

/** Reference vectors that a version's predictions are compared with, in shared memory: one copy for all threads. */
export interface SharedReferences {
  /** Unit vectors, one after the other. */
  features: Float32Array;
  dimensions: number;
  /** The first rows, which are the coreset: the distance of a prediction is to the nearest of them. */
  coresetRows: number;
  rows: number;
  /** How features are transformed before they are compared with the rows. */
  transform: FeatureTransform;
}

export interface Near {
  /** Row of the references. */
  row: number;
  /** Euclidean distance of unit vectors, 0 to 2. */
  distance: number;
}

/** The `count` nearest references to an image's features, of the first `among` rows; nearest first. */
export function nearest(
  feature: Float32Array,
  references: SharedReferences,
  { among = references.coresetRows, count = 1 }: { among?: number; count?: number } = {},
): Near[] {
  const unit = comparisonVector(feature, references.transform);
  const best: { row: number; product: number }[] = [];
  for (let row = 0; row < Math.min(among, references.rows); row += 1) {
    const product = dot(unit, references.features, row * references.dimensions);
    const last = best[count - 1];
    if (last !== undefined && product <= last.product) continue;
    const at = best.findIndex((other) => product > other.product);
    best.splice(at === -1 ? best.length : at, 0, { row, product });
    best.length = Math.min(best.length, count);
  }
  return best.map(({ row, product }) => ({ row, distance: distanceOf(product) }));
}

/** The distance of two unit vectors by their dot product, which rounding may push beyond 1. */
export function distanceOf(product: number): number {
  return Math.sqrt(Math.max(0, 2 - 2 * product));
}

/** Four independent sums, so that the processor need not wait for one addition before it begins the next. */
function dot(a: Float32Array, b: Float32Array, offset: number): number {
  const end = a.length - (a.length % 4);
  let first = 0;
  let second = 0;
  let third = 0;
  let fourth = 0;
  for (let at = 0; at < end; at += 4) {
    const other = offset + at;
    first += (a[at] ?? 0) * (b[other] ?? 0);
    second += (a[at + 1] ?? 0) * (b[other + 1] ?? 0);
    third += (a[at + 2] ?? 0) * (b[other + 2] ?? 0);
    fourth += (a[at + 3] ?? 0) * (b[other + 3] ?? 0);
  }
  for (let at = end; at < a.length; at += 1) first += (a[at] ?? 0) * (b[offset + at] ?? 0);
  return first + second + third + fourth;
}
