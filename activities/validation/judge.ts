import type { Manifest } from '../../contracts/registry/bundle.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { percent } from '../../domain/percent.js';
import { evaluate } from '../../model/evaluation/evaluate.js';
import { indexOfLargest } from '../../model/evaluation/prepared.js';
import { parityTolerance } from '../../model/export/difference.js';
import { runtimeTolerances } from '../../model/serving/probe.js';
import type { Served } from './serve-test-images.js';

export interface Judgement {
  passed: boolean;
  /** One sentence with the measured value and its threshold. */
  detail: string;
}

/** Maximum difference between the served accuracy and the one measured at training: one image in two hundred. */
const smokeTolerance = 0.005;
/** Most ties that may explain a larger difference, as a share of the images: or one, where that is more. */
const mostTies = 0.01;

/**
 * The engine must return a probability distribution for every test image, with the accuracy that training measured. Where
 * two classes are as close as two runtimes may differ, either is the same answer.
 */
export function judgeSmokeTest(
  { labels, evaluation }: Pick<ModelVersion, 'labels' | 'evaluation'>,
  { probabilities, variant }: Pick<Served, 'probabilities' | 'variant'>,
  truths: readonly number[],
): Judgement {
  const broken = probabilities.filter((row) => !isDistribution(row)).length;
  const { accuracy } = evaluate({ probabilities, truths, labels, seed: 0 });
  // Where the accuracy is higher, right answers may have been wrong ones at training; where it is lower, the reverse.
  const isHigher = accuracy > evaluation.accuracy;
  const ties = probabilities.filter((row, image) => {
    const truth = truths[image] ?? NaN;
    return (indexOfLargest(row) === truth) === isHigher && isTie(row, truth, runtimeTolerances[variant]);
  });
  const images = probabilities.length;
  const excused = Math.min(ties.length, Math.max(1, Math.floor(mostTies * images))) / images;
  return {
    passed: broken === 0 && Math.abs(accuracy - evaluation.accuracy) <= smokeTolerance + excused,
    detail:
      `The serving engine answered ${images} test images with an accuracy of ${percent(accuracy)} ` +
      `(training measured ${percent(evaluation.accuracy)}); ${broken} answers were not a probability distribution.`,
  };
}

/** Judges the difference between TF.js and the exported graph, which packaging measured on real images. */
export function judgeParity({ parityMaxAbsoluteError: error }: Pick<Manifest, 'parityMaxAbsoluteError'>): Judgement {
  if (error === null) {
    return { passed: true, detail: 'The graph was uploaded unchanged: there is no source model to compare it with.' };
  }
  return {
    passed: error <= parityTolerance,
    detail: `Probabilities of the exported graph differ by at most ${error.toExponential(1)} from TF.js; ${parityTolerance} is allowed.`,
  };
}

/** Whether the answer would be right instead of wrong, or wrong instead of right, with a class that is within `margin`. */
function isTie(row: readonly number[], truth: number, margin: number): boolean {
  const predicted = indexOfLargest(row);
  const rivals = row.filter((_, at) => (predicted === truth ? at !== truth : at === truth));
  return (row[predicted] ?? NaN) - Math.max(...rivals) <= margin;
}

function isDistribution(row: readonly number[]): boolean {
  return row.every((p) => p >= 0) && Math.abs(row.reduce((sum, p) => sum + p, 0) - 1) <= 1e-3;
}
