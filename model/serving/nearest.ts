/** Vectors that a version's predictions are held against, in shared memory: one copy for all threads. */
export interface SharedReferences {
  /** Unit vectors, one after the other. */
  features: Float32Array;
  dimensions: number;
  /** The first so many rows cover the rest: the distance of a prediction is to the nearest of them. */
  covering: number;
  rows: number;
}

export interface Near {
  /** Of the references. */
  row: number;
  /** Euclidean distance of unit vectors, 0 to 2. */
  distance: number;
}

/** The `count` nearest references to a picture's features, of the first `among` rows; nearest first. */
export function nearest(
  feature: Float32Array,
  references: SharedReferences,
  { among = references.covering, count = 1 }: { among?: number; count?: number } = {},
): Near[] {
  const unit = unitVector(feature);
  const best: { row: number; product: number }[] = [];
  for (let row = 0; row < Math.min(among, references.rows); row += 1) {
    const product = dot(unit, references.features, row * references.dimensions, references.dimensions);
    const last = best[count - 1];
    if (last !== undefined && product <= last.product) continue;
    const at = best.findIndex((other) => product > other.product);
    best.splice(at === -1 ? best.length : at, 0, { row, product });
    best.length = Math.min(best.length, count);
  }
  // Rounding may take the product of two equal unit vectors beyond 1.
  return best.map(({ row, product }) => ({ row, distance: Math.sqrt(Math.max(0, 2 - 2 * product)) }));
}

/** The direction of a vector; of a vector of zeros, itself. */
function unitVector(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector, 0, vector.length));
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** Four sums at once: the processor need not wait for one addition before it begins the next. */
function dot(a: Float32Array, b: Float32Array, offset: number, length: number): number {
  let [first, second, third, fourth] = [0, 0, 0, 0];
  let at = 0;
  for (; at + 3 < length; at += 4) {
    const other = offset + at;
    first += (a[at] ?? 0) * (b[other] ?? 0);
    second += (a[at + 1] ?? 0) * (b[other + 1] ?? 0);
    third += (a[at + 2] ?? 0) * (b[other + 2] ?? 0);
    fourth += (a[at + 3] ?? 0) * (b[other + 3] ?? 0);
  }
  for (; at < length; at += 1) first += (a[at] ?? 0) * (b[offset + at] ?? 0);
  return first + second + third + fourth;
}
