import { PerennialError } from '../../contracts/errors.js';
import type { Comparison } from '../../contracts/registry/registry.js';
import { bootstrap, interval } from './bootstrap.js';
import { at, indexOfLargest } from './prepared.js';

export interface ComparisonInput {
  /** Probabilities of the candidate, one row per image; then those of Production for the same images. */
  candidate: readonly (readonly number[])[];
  production: readonly (readonly number[])[];
  truths: readonly number[];
  seed: number;
}

/**
 * Compares two models on the same images: the difference of their accuracies with a paired 95 % bootstrap interval, and
 * McNemar's exact test on the images only one of them gets right.
 * @throws PerennialError invalid_tensor when the three lists differ in length or are empty
 */
export function compareOnSameImages(input: ComparisonInput): Omit<Comparison, 'productionVersion'> {
  const { candidate, production, truths, seed } = input;
  const images = truths.length;
  if (images === 0 || candidate.length !== images || production.length !== images) {
    throw new PerennialError(
      'invalid_tensor',
      `A comparison needs both models' answers for the same images; got ${candidate.length} of the candidate, ${production.length} of Production and ${images} true labels.`,
    );
  }
  const candidateRight = areRight(candidate, truths);
  const productionRight = areRight(production, truths);
  const gains = candidateRight.map((right, image) => right - at(productionRight, image));
  const onlyCandidateRight = gains.filter((gain) => gain > 0).length;
  const onlyProductionRight = gains.filter((gain) => gain < 0).length;
  const differences = bootstrap(images, seed, (counts) => {
    return gains.reduce((sum, gain, image) => sum + gain * at(counts, image), 0) / images;
  });
  return {
    images,
    candidateAccuracy: sum(candidateRight) / images,
    productionAccuracy: sum(productionRight) / images,
    difference: (onlyCandidateRight - onlyProductionRight) / images,
    interval: interval(differences),
    onlyCandidateRight,
    onlyProductionRight,
    mcnemarPValue: exactMcnemar(onlyCandidateRight, onlyProductionRight),
  };
}

/**
 * Two-sided exact McNemar test: the probability, under a fair coin, of a split of the discordant images at least this
 * uneven.
 */
export function exactMcnemar(onlyFirst: number, onlySecond: number): number {
  const discordant = onlyFirst + onlySecond;
  const fewer = Math.min(onlyFirst, onlySecond);
  // In logarithms: 2^-n and the binomial coefficients leave the range of a double at about a thousand images.
  let logTerm = -discordant * Math.LN2;
  let tail = 0;
  for (let k = 0; k <= fewer; k += 1) {
    tail += Math.exp(logTerm);
    logTerm += Math.log(discordant - k) - Math.log(k + 1);
  }
  return Math.min(1, 2 * tail);
}

function areRight(probabilities: readonly (readonly number[])[], truths: readonly number[]): number[] {
  return probabilities.map((row, image) => (indexOfLargest(row) === truths[image] ? 1 : 0));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
