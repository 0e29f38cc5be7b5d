import type { z } from 'zod';
import type { driftReferenceSchema } from '../../contracts/registry/bundle.js';
import type { Scores } from './score.js';

/**
 * Reference statistics for drift detection: the mean and the standard deviation of each feature over all images of the
 * dataset version, and the share of each class among the model's predictions for them.
 */
export function describeReference(scores: Scores, labels: readonly string[]): z.infer<typeof driftReferenceSchema> {
  const images = scores.features.length;
  const width = scores.features[0]?.length ?? 0;
  const mean = new Float64Array(width);
  for (const features of scores.features) features.forEach((value, index) => addTo(mean, index, value / images));
  const variance = new Float64Array(width);
  for (const features of scores.features) {
    features.forEach((value, index) => addTo(variance, index, (value - (mean[index] ?? 0)) ** 2 / images));
  }
  const predicted = scores.logits.map((row) => row.indexOf(Math.max(...row)));
  return {
    images,
    classShares: Object.fromEntries(
      labels.map((label, index) => [label, predicted.filter((one) => one === index).length / images]),
    ),
    featureMean: [...mean].map(shorten),
    featureStandardDeviation: [...variance].map((value) => shorten(Math.sqrt(value))),
  };
}

function addTo(sums: Float64Array, index: number, value: number): void {
  sums[index] = (sums[index] ?? 0) + value;
}

/** Seven digits: all that a 32-bit feature has. */
function shorten(value: number): number {
  return Number(value.toPrecision(7));
}
