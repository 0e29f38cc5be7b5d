import type { Manifest } from '../../contracts/registry/bundle.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { evaluate } from '../../model/evaluation/evaluate.js';
import { percent } from '../../domain/percent.js';

export interface Judgement {
  passed: boolean;
  /** One sentence with the measured value and its threshold. */
  detail: string;
}

/** Maximum difference between the served accuracy and the one measured at training: one image in two hundred. */
const smokeTolerance = 0.005;
const parityTolerance = 1e-3;

/** The engine must return a probability distribution for every test image, with the accuracy that training measured. */
export function judgeSmokeTest(
  { labels, evaluation }: Pick<ModelVersion, 'labels' | 'evaluation'>,
  probabilities: readonly (readonly number[])[],
  truths: readonly number[],
): Judgement {
  const broken = probabilities.filter((row) => !isDistribution(row)).length;
  const { accuracy } = evaluate({ probabilities, truths, labels, seed: 0 });
  return {
    passed: broken === 0 && Math.abs(accuracy - evaluation.accuracy) <= smokeTolerance,
    detail:
      `The serving engine answered ${probabilities.length} test images with an accuracy of ${percent(accuracy)} ` +
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

function isDistribution(row: readonly number[]): boolean {
  return row.every((p) => p >= 0) && Math.abs(row.reduce((sum, p) => sum + p, 0) - 1) <= 1e-3;
}
