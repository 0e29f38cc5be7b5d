import type { FeatureTransform } from '../../contracts/registry/bundle.js';

/**
 * The vector by which features are compared: transformed, and scaled to length 1. With square roots the distance of two
 * is the Hellinger distance (times √2) of how the activation is shared among the features. It counts many small differences
 * more and a few strongly activated features less. Features are means behind a ReLU, so none is negative.
 */
export function comparisonVector(features: Float32Array, transform: FeatureTransform): Float32Array {
  if (transform === 'none') return unitVector(features);
  const roots = new Float32Array(features.length);
  // Loops in place of `map`, which makes an object in memory of every number: it took two thirds of what a prediction
  // allocates in its thread.
  for (let at = 0; at < roots.length; at += 1) roots[at] = Math.sqrt(Math.max(0, features[at] ?? 0));
  return scaled(roots, roots);
}

/** The vector scaled to length 1; a vector of zeros is returned unchanged. */
export function unitVector(vector: Float32Array): Float32Array {
  return scaled(vector, new Float32Array(vector.length));
}

function scaled(vector: Float32Array, result: Float32Array): Float32Array {
  let squares = 0;
  for (let at = 0; at < vector.length; at += 1) squares += (vector[at] ?? 0) * (vector[at] ?? 0);
  const length = squares === 0 ? 1 : Math.sqrt(squares);
  for (let at = 0; at < vector.length; at += 1) result[at] = (vector[at] ?? 0) / length;
  return result;
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
