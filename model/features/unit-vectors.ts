import type { FeatureTransform } from '../../contracts/registry/bundle.js';

/**
 * The vector by which features are compared: transformed, and scaled to length 1. With square roots the distance of two
 * is the Hellinger distance (times √2) of how the activation is shared among the features. It counts many small differences
 * more and a few strongly activated features less. Features are means behind a ReLU, so none is negative.
 */
export function comparisonVector(features: Float32Array, transform: FeatureTransform): Float32Array {
  return unitVector(transform === 'none' ? features : features.map((value) => Math.sqrt(Math.max(0, value))));
}

/** The vector scaled to length 1; a vector of zeros is returned unchanged. */
export function unitVector(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  return length === 0 ? vector.slice() : vector.map((value) => value / length);
}

/** Euclidean distance of two unit vectors, 0 to 2. */
export function unitDistance(one: Float32Array, other: Float32Array): number {
  // Differences instead of the dot product: rounding makes the product of equal vectors slightly less than 1, and the
  // distance derived from it noticeably more than 0. Two sums, because each addition waits for the one before it.
  let [even, odd] = [0, 0];
  for (let index = 0; index < one.length; index += 2) {
    const first = (one[index] ?? 0) - (other[index] ?? 0);
    const second = (one[index + 1] ?? 0) - (other[index + 1] ?? 0);
    even += first * first;
    odd += second * second;
  }
  return Math.sqrt(even + odd);
}

/** Distance of a vector to the nearest reference. */
export function distanceToNearest(vector: Float32Array, references: readonly Float32Array[]): number {
  return references.reduce((least, reference) => Math.min(least, unitDistance(vector, reference)), Infinity);
}
