import { PerennialError } from '../../contracts/errors.js';

/** Predictions and truths, with everything precomputed that does not change between bootstrap resamples. */
export interface Prepared {
  images: number;
  classes: number;
  truths: readonly number[];
  predicted: readonly number[];
  /** Negative log-likelihood of each image's true class. */
  losses: readonly number[];
  /** Bin of the reliability diagram each image falls into. */
  bins: readonly number[];
  confidences: readonly number[];
  /** Per class: its score for every image, and the images by descending score. */
  rankings: readonly { scores: readonly number[]; order: readonly number[] }[];
}

/** Equal-width bins of the expected calibration error, as in Guo et al., 2017. */
export const calibrationBins = 15;

/** Keeps the loss finite where a model gives the true class no probability at all. */
const smallestProbability = 1e-15;

/** Checks that every image has a row of `classes` probabilities and a true class, and prepares them. */
export function prepare(
  probabilities: readonly (readonly number[])[],
  truths: readonly number[],
  classes: number,
): Prepared {
  checkShape(probabilities, truths, classes);
  const predicted = probabilities.map(indexOfLargest);
  const confidences = probabilities.map((row, image) => at(row, at(predicted, image)));
  return {
    images: truths.length,
    classes,
    truths,
    predicted,
    losses: probabilities.map((row, image) => -Math.log(Math.max(at(row, at(truths, image)), smallestProbability))),
    bins: confidences.map((confidence) =>
      Math.min(Math.max(Math.ceil(confidence * calibrationBins) - 1, 0), calibrationBins - 1),
    ),
    confidences,
    rankings: Array.from({ length: classes }, (_, label) => rank(probabilities.map((row) => at(row, label)))),
  };
}

/** The element at `index`, which must be in range. */
export function at(values: ArrayLike<number>, index: number): number {
  return values[index] ?? Number.NaN;
}

/** Index of the largest value, the first of equal ones. */
export function indexOfLargest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

function rank(scores: readonly number[]): Prepared['rankings'][number] {
  const order = scores.map((_, image) => image).sort((a, b) => at(scores, b) - at(scores, a));
  return { scores, order };
}

function checkShape(probabilities: readonly (readonly number[])[], truths: readonly number[], classes: number): void {
  if (truths.length === 0) {
    throw new PerennialError('dataset_too_small', 'There is no image to evaluate on; add images and ingest again.');
  }
  const wellShaped =
    probabilities.length === truths.length &&
    probabilities.every((row) => row.length === classes && row.every((value) => value >= 0 && value <= 1.0001)) &&
    truths.every((truth) => Number.isInteger(truth) && truth >= 0 && truth < classes);
  if (!wellShaped) {
    throw new PerennialError(
      'invalid_tensor',
      `An evaluation needs ${classes} probabilities and one true class below ${classes} for each of ${truths.length} images.`,
    );
  }
}
