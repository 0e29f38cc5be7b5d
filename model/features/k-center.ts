import { unitDistance } from './unit-vectors.js';

/**
 * An order of unit vectors in which the first ones cover the rest: each of the first `most` is the one that lies
 * furthest from all before it (Gonzalez, 1985: no choice of as many has half the largest distance to the rest).
 * The others follow in the order they came in.
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

/** Narrows the gap of each row to the one that was taken, and gives the row with the widest. */
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

/** An outlier as the first row would cover little, should there be only few. */
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
