import { unitDistance } from './unit-vectors.js';

/**
 * Greedy k-center order of unit vectors (Gonzalez, 1985): each of the first `most` rows is the one furthest from all
 * rows before it. They form a coreset that covers the rest within twice the best possible radius. The other rows follow
 * in their original order.
 */
export function kCenterOrder(vectors: readonly Float32Array[], most: number): number[] {
  const order: number[] = [];
  const gaps = new Float64Array(vectors.length).fill(Infinity);
  let next = nearestToCentre(vectors);
  while (order.length < Math.min(most, vectors.length)) {
    order.push(next);
    next = addCenter(vectors, gaps, next);
  }
  const taken = new Set(order);
  return [...order, ...vectors.flatMap((_, row) => (taken.has(row) ? [] : [row]))];
}

/**
 * Adds a center: updates the distance of each row to its nearest center, and returns the row furthest from all of them.
 */
function addCenter(vectors: readonly Float32Array[], gaps: Float64Array, taken: number): number {
  const reference = vectors[taken];
  if (!reference) return 0;
  gaps[taken] = -1;
  let widest = 0;
  vectors.forEach((vector, row) => {
    const gap = gaps[row] ?? 0;
    if (gap >= 0) gaps[row] = Math.min(gap, unitDistance(vector, reference));
    if ((gaps[row] ?? 0) > (gaps[widest] ?? 0)) widest = row;
  });
  return widest;
}

/** The first center is the row nearest to the mean: an outlier would represent a small coreset badly. */
function nearestToCentre(vectors: readonly Float32Array[]): number {
  const centre = new Float32Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) {
    vector.forEach((value, index) => {
      centre[index] = (centre[index] ?? 0) + value / vectors.length;
    });
  }
  const distances = vectors.map((vector) => unitDistance(vector, centre));
  return Math.max(0, distances.indexOf(Math.min(...distances)));
}
