/** Largest difference of a probability, and of a feature vector relative to its length, that passes as the same. */
export const parityTolerance = 1e-3;

/** Largest difference of two lists of numbers; infinite when their lengths differ or a value is NaN. */
export function largestDifference(expected: Float32Array, found: Float32Array): number {
  if (expected.length !== found.length) return Infinity;
  return expected.reduce((largest, value, index) => {
    const difference = Math.abs(value - (found[index] ?? NaN));
    // NaN must not pass as equal.
    return Number.isNaN(difference) ? Infinity : Math.max(largest, difference);
  }, 0);
}
