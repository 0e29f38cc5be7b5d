import type { Quantization } from '../../contracts/registry/bundle.js';
import { indexOfLargest } from '../evaluation/prepared.js';

/** Accuracy that int8 may lose, or one image where that is more. */
const accuracyLoss = 0.01;
/** Share of the images on which both variants must predict the same class, or all but one. */
const leastAgreement = 0.97;
/**
 * Largest mean difference of probabilities: about the calibration error of a good model, so that a confidence means the
 * same in both precision variants.
 */
const meanDifferenceLimit = 0.02;
/** With fewer images a single one decides too much. */
const fewestImages = 10;

type Rows = readonly (readonly number[])[];
type Judgement = Omit<Quantization, 'rangeImages' | 'sizeBytes'>;

/**
 * Compares the int8 variant with the fp32 network it was made from, on the same held-out images. Throws when an output
 * is not a number.
 */
export function judgeQuantization(fp32: Rows, int8: Rows, truths: readonly number[]): Judgement {
  const images = truths.length;
  const differences = fp32.map((row, image) => largestOf(row.map((value, at) => value - (int8[image]?.[at] ?? NaN))));
  if (!differences.every(Number.isFinite)) throw new Error('The int8 network computes values that are not numbers.');
  const figures = {
    fp32Accuracy: shareOf(fp32, (row, image) => indexOfLargest(row) === truths[image]),
    int8Accuracy: shareOf(int8, (row, image) => indexOfLargest(row) === truths[image]),
    agreement: shareOf(int8, (row, image) => indexOfLargest(row) === indexOfLargest(fp32[image] ?? [])),
    meanAbsoluteDifference: differences.reduce((sum, value) => sum + value, 0) / Math.max(1, images),
    maxAbsoluteDifference: Math.max(0, ...differences),
  };
  const checks = checksOf(figures, images);
  return {
    images,
    ...figures,
    passed: checks.every(({ passed }) => passed),
    reasons: checks.map(({ passed, text }) => `${passed ? 'Passed' : 'Failed'}: ${text}`),
  };
}

type Figures = Omit<Judgement, 'images' | 'passed' | 'reasons'>;

function checksOf(figures: Figures, images: number): { passed: boolean; text: string }[] {
  const oneImage = 1 / Math.max(1, images);
  const { fp32Accuracy, int8Accuracy, agreement, meanAbsoluteDifference } = figures;
  const accuracyNeeded = fp32Accuracy - Math.max(accuracyLoss, oneImage);
  const agreementNeeded = Math.min(leastAgreement, 1 - oneImage);
  // Shares are quotients of whole numbers: an exact tie must pass despite rounding.
  const rounding = 1e-9;
  return [
    {
      passed: images >= fewestImages,
      text: `judged by ${images} held-out images, at least ${fewestImages} are needed.`,
    },
    {
      passed: int8Accuracy >= accuracyNeeded - rounding,
      text: `accuracy ${int8Accuracy.toFixed(3)} in 8 bits and ${fp32Accuracy.toFixed(3)} in 32, at least ${accuracyNeeded.toFixed(3)} is needed.`,
    },
    {
      passed: agreement >= agreementNeeded - rounding,
      text: `both name the same class for ${agreement.toFixed(3)} of the images, at least ${agreementNeeded.toFixed(3)} is needed.`,
    },
    {
      passed: meanAbsoluteDifference <= meanDifferenceLimit,
      text: `probabilities differ by ${meanAbsoluteDifference.toFixed(4)} on average, at most ${meanDifferenceLimit} is allowed.`,
    },
  ];
}

function largestOf(differences: readonly number[]): number {
  return Math.max(...differences.map(Math.abs));
}

function shareOf(rows: Rows, holds: (row: readonly number[], image: number) => boolean): number {
  return rows.length === 0 ? 0 : rows.filter(holds).length / rows.length;
}
