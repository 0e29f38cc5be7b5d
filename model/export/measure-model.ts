import type { Calibration } from '../../contracts/registry/bundle.js';
import type { CrossValidation, ModelMetrics } from '../../contracts/training/training.js';
import { usesStoredFeatures } from '../architectures/backbone-digest.js';
import { evaluate } from '../evaluation/evaluate.js';
import { measureReliability } from '../evaluation/reliability.js';
import { drawRiskCurve } from '../evaluation/risk-curve.js';
import { chooseTemperature, softmax } from '../evaluation/temperature.js';
import type { PackageJob } from '../jobs.js';
import type { Checkpoint } from '../training/checkpoint.js';
import { crossValidate } from '../training/cross-validate.js';
import type { LabelledRows } from '../training/labelled-rows.js';
import type { Scores } from './score.js';

/** All metrics of a bundle. */
export interface Measured {
  metrics: ModelMetrics;
  calibration: Calibration;
}

/** Logits of images that the answering classifier was not trained on, and their true classes. */
interface Answers {
  logits: number[][];
  truths: number[];
}

/**
 * Measures both held-out splits at the chosen temperature. For classifiers on stored features it also cross-validates
 * over the training and validation splits: the out-of-fold logits cover several times as many images as the validation
 * split, so temperature and risk curve are taken from them. Otherwise they come from the validation split.
 */
export async function measureModel(
  job: PackageJob,
  rows: LabelledRows,
  scores: Scores,
  checkpoint: Checkpoint,
): Promise<Measured> {
  const validation = answersOf(rows.splits.validation, rows, scores);
  const test = answersOf(rows.splits.test, rows, scores);
  const crossValidated = await crossValidateHead(job, rows, scores, checkpoint);
  const unseen = crossValidated?.answers ?? validation;
  const temperature = chooseTemperature(unseen.logits, unseen.truths);
  const evaluateSplit = (split: Answers): ModelMetrics['test'] =>
    evaluate({
      probabilities: probabilitiesOf(split, temperature),
      truths: split.truths,
      labels: job.labels,
      seed: job.hyperparameters.seed,
    });
  const reliability = (split: Answers, at: number): Calibration['test'] =>
    measureReliability(probabilitiesOf(split, at), split.truths);
  const uncalibratedTest = reliability(test, 1);
  return {
    metrics: {
      temperature,
      validation: evaluateSplit(validation),
      test: evaluateSplit(test),
      uncalibratedTestCalibrationError: uncalibratedTest.calibrationError,
      crossValidation: crossValidated?.summary ?? null,
      epochs: job.epochs,
      bestEpoch: checkpoint.bestEpoch,
    },
    calibration: {
      temperature,
      validation: reliability(validation, temperature),
      test: reliability(test, temperature),
      uncalibratedTest,
      riskImages: unseen.truths.length,
      riskCurve: drawRiskCurve(probabilitiesOf(unseen, temperature), unseen.truths),
    },
  };
}

function answersOf(split: readonly number[], { truths }: LabelledRows, { logits }: Scores): Answers {
  return { logits: split.map((row) => logits[row] ?? []), truths: split.map((row) => truths[row] ?? 0) };
}

function probabilitiesOf({ logits }: Answers, temperature: number): number[][] {
  return logits.map((row) => softmax(row, temperature));
}

async function crossValidateHead(
  { labels, hyperparameters }: PackageJob,
  { truths, splits }: LabelledRows,
  { matrix }: Scores,
  { bestEpoch }: Checkpoint,
): Promise<{ summary: CrossValidation; answers: Answers } | null> {
  if (!usesStoredFeatures(hyperparameters)) return null;
  const rows = [...splits.train, ...splits.validation].sort((a, b) => a - b);
  const { summary, logits } = await crossValidate({
    features: matrix,
    truths,
    classes: labels.length,
    rows,
    hyperparameters,
    epochs: bestEpoch + 1,
  });
  return { summary, answers: { logits, truths: rows.map((row) => truths[row] ?? 0) } };
}
