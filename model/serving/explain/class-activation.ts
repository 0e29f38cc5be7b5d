/** What each place of one picture adds to the logit of each class, channels first, as the graph gives it. */
export interface Activations {
  classes: number;
  rows: number;
  columns: number;
  /** classes × rows × columns; the mean over all places plus the classifier's bias is a logit. */
  values: Float32Array;
}

/** Single precision holds nothing smaller at full accuracy; the logarithm of zero must not come into a sum. */
const smallestProbability = 2 ** -126;

/**
 * The logit of a class as its probabilities tell it: the logarithm of its probability less the mean of all classes'
 * logarithms. A softmax gives the same answer when a number is added to all its logits; taking the mean away leaves
 * what the answer depends on.
 */
export function logitOf(probabilities: readonly number[], classIndex: number): number {
  const logarithms = probabilities.map((probability) => Math.log(Math.max(probability, smallestProbability)));
  const mean = logarithms.reduce((sum, value) => sum + value, 0) / logarithms.length;
  return (logarithms[classIndex] ?? mean) - mean;
}

/**
 * What each place adds to the logit of a class, or takes from it, row by row from the top. The places add up to the
 * logit as `logitOf` defines it, but for the classifier's bias, which is the same for every picture.
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

/** Sum of all places of a map. */
export function sumOf(map: readonly (readonly number[])[]): number {
  return map.reduce((sum, row) => row.reduce((inner, value) => inner + value, sum), 0);
}
