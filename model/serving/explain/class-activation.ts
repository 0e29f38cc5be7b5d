/** Class activations of one image, channels first: what each position adds to the logit of each class. */
export interface Activations {
  classes: number;
  rows: number;
  columns: number;
  /** classes × rows × columns; the mean over all positions plus the classifier's bias is a logit. */
  values: Float32Array;
}

/** The smallest normal float32; avoids log(0). */
const smallestProbability = 2 ** -126;

/**
 * The logit of a class from probabilities: its log probability minus the mean log probability of all classes. Adding a
 * constant to all logits does not change a softmax, so logits are only known up to their mean.
 */
export function logitOf(probabilities: readonly number[], classIndex: number): number {
  const logarithms = probabilities.map((probability) => Math.log(Math.max(probability, smallestProbability)));
  const mean = logarithms.reduce((sum, value) => sum + value, 0) / logarithms.length;
  return (logarithms[classIndex] ?? mean) - mean;
}

/**
 * What each position adds to the logit of a class (negative where it lowers it), row by row from the top. The positions
 * add up to the logit of `logitOf` minus the classifier's bias, which is the same for every image.
 */
export function activationMap({ classes, rows, columns, values }: Activations, classIndex: number): number[][] {
  const places = rows * columns;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (__, column) => {
      const place = row * columns + column;
      let sum = 0;
      for (let index = 0; index < classes; index++) sum += values[index * places + place] ?? 0;
      return ((values[classIndex * places + place] ?? 0) - sum / classes) / places;
    }),
  );
}

/** Sum of all values of a map. */
export function sumOf(map: readonly (readonly number[])[]): number {
  return map.reduce((sum, row) => row.reduce((inner, value) => inner + value, sum), 0);
}
