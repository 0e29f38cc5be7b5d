/** A vector of length 1 in the same direction; one of zeros stays what it is. */
export function unitVector(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  return length === 0 ? vector.slice() : vector.map((value) => value / length);
}

/** Euclidean distance of two unit vectors, 0 to 2. */
export function unitDistance(one: Float32Array, other: Float32Array): number {
  let squares = 0;
  // Differences, not the dot product: that of two equal vectors is not quite 1, and its root far from 0.
  for (let index = 0; index < one.length; index += 1) {
    squares += ((one[index] ?? 0) - (other[index] ?? 0)) ** 2;
  }
  return Math.sqrt(squares);
}

/** How far a vector is from the nearest reference. */
export function distanceToNearest(vector: Float32Array, references: readonly Float32Array[]): number {
  return references.reduce((least, reference) => Math.min(least, unitDistance(vector, reference)), Infinity);
}
