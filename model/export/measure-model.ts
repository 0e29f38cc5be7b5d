import type { ModelMetrics } from '../../contracts/training.js';
import { evaluate } from '../evaluation/evaluate.js';
import { measure } from '../evaluation/measures.js';
import { prepare } from '../evaluation/prepared.js';
import { fitTemperature, softmax } from '../evaluation/temperature.js';
import type { PackageJob } from '../jobs.js';
import type { Checkpoint } from '../training/checkpoint.js';
import { crossValidate } from '../training/cross-validate.js';
import type { LabelledRows } from '../training/labelled-rows.js';
import { usesStoredFeatures, type Scores } from './score.js';

/**
 * All figures of a bundle: the temperature fitted on the validation side, both held-out sides measured with it, and
 * for classifiers on stored features a cross-validation over what is not the test side.
 */
export async function measureModel(
  job: PackageJob,
  rows: LabelledRows,
  scores: Scores,
  checkpoint: Checkpoint,
): Promise<ModelMetrics> {
  const { seed } = job.hyperparameters;
  const logitsOf = (side: readonly number[]): number[][] => side.map((row) => scores.logits[row] ?? []);
  const truthsOf = (side: readonly number[]): number[] => side.map((row) => rows.truths[row] ?? 0);
  const { validation, test } = rows.sides;
  const temperature = fitTemperature(logitsOf(validation), truthsOf(validation));
  const evaluateSide = (side: readonly number[]): ModelMetrics['test'] =>
    evaluate({
      probabilities: logitsOf(side).map((row) => softmax(row, temperature)),
      truths: truthsOf(side),
      labels: job.labels,
      seed,
    });
  const plain = logitsOf(test).map((row) => softmax(row, 1));
  const uncalibrated = measure(prepare(plain, truthsOf(test), job.labels.length), new Uint32Array(test.length).fill(1));
  return {
    temperature,
    validation: evaluateSide(validation),
    test: evaluateSide(test),
    uncalibratedTestCalibrationError: uncalibrated.calibrationError,
    crossValidation: usesStoredFeatures(job.hyperparameters)
      ? await crossValidateHead(job, rows, scores, checkpoint)
      : null,
    epochs: job.epochs,
    bestEpoch: checkpoint.bestEpoch,
  };
}

function crossValidateHead(
  { labels, hyperparameters }: PackageJob,
  { truths, sides }: LabelledRows,
  { matrix }: Scores,
  { bestEpoch }: Checkpoint,
): Promise<ModelMetrics['crossValidation']> {
  return crossValidate({
    features: matrix,
    truths,
    classes: labels.length,
    rows: [...sides.train, ...sides.validation].sort((a, b) => a - b),
    hyperparameters,
    epochs: bestEpoch + 1,
  });
}
