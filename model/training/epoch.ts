import { setImmediate } from 'node:timers/promises';
import { tf } from '../tensorflow.js';
import type { Adam } from './adam.js';
import { macroAverages } from '../evaluation/measures.js';
import type { Trainable } from './trainable.js';

/** Targets of the loss. */
export interface LossPlan {
  /** Index of the true label of each row. */
  truths: readonly number[];
  /** One weight per class. */
  classWeights: readonly number[];
}

export interface Score {
  /** Weighted mean cross-entropy. */
  loss: number;
  accuracy: number;
}

/** Trains on the rows in order, one step per batch, and returns the score that the batches had before their steps. */
export async function trainOnRows(pass: {
  trainable: Trainable;
  adam: Adam;
  loss: LossPlan;
  epoch: number;
  rows: readonly number[];
  batchSize: number;
}): Promise<Score> {
  const { trainable, adam, loss, epoch } = pass;
  return scoreBatches(pass.rows, pass.batchSize, async (rows) => {
    const inputs = await trainable.trainingInputs(epoch, rows);
    const targets = createTargets(loss, rows);
    const variables = trainable.variables.map(({ variable }) => variable);
    const correct = { count: 0 };
    const { value, grads } = tf.variableGrads(() => {
      const logits = trainable.logits(inputs);
      correct.count = countCorrect(logits, loss.truths, rows);
      return crossEntropy(logits, targets.tensor);
    }, variables);
    adam.apply(variables.map(({ name }) => gradientOf(grads, name)));
    const lossSum = readScalar(value) * targets.weight;
    tf.dispose([inputs, targets.tensor, value, grads]);
    return { lossSum, weight: targets.weight, correct: correct.count };
  });
}

export interface ValidationScore extends Score {
  /** Macro averages over the classes. */
  precision: number;
  recall: number;
  f1: number;
}

/** Scores the rows without training. */
export async function validateOnRows(pass: {
  trainable: Trainable;
  loss: LossPlan;
  rows: readonly number[];
  batchSize: number;
}): Promise<ValidationScore> {
  const { trainable, loss } = pass;
  const classes = loss.classWeights.length;
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  const score = await scoreBatches(pass.rows, pass.batchSize, async (rows) => {
    const inputs = await trainable.inputs(rows);
    const targets = createTargets(loss, rows);
    const scored = tf.tidy(() => {
      const logits = trainable.logits(inputs);
      countAnswers(confusion, predictedClasses(logits, rows.length), loss.truths, rows);
      return {
        correct: countCorrect(logits, loss.truths, rows),
        value: readScalar(crossEntropy(logits, targets.tensor)),
      };
    });
    tf.dispose([inputs, targets.tensor]);
    return { lossSum: scored.value * targets.weight, weight: targets.weight, correct: scored.correct };
  });
  return { ...score, ...macroAverages(confusion) };
}

function countAnswers(
  confusion: number[][],
  predicted: readonly number[],
  truths: readonly number[],
  rows: readonly number[],
): void {
  rows.forEach((row, index) => {
    const answers = confusion[truths[row] ?? 0];
    const answer = predicted[index] ?? 0;
    if (answers) answers[answer] = (answers[answer] ?? 0) + 1;
  });
}

interface BatchScore {
  lossSum: number;
  weight: number;
  correct: number;
}

async function scoreBatches(
  rows: readonly number[],
  batchSize: number,
  scoreBatch: (rows: readonly number[]) => Promise<BatchScore>,
): Promise<Score> {
  let [lossSum, weight, correct] = [0, 0, 0];
  for (let from = 0; from < rows.length; from += batchSize) {
    const batch = await scoreBatch(rows.slice(from, from + batchSize));
    lossSum += batch.lossSum;
    weight += batch.weight;
    correct += batch.correct;
    // TensorFlow blocks this thread: only this pause lets it notice that its parent has gone.
    await setImmediate();
  }
  return { loss: lossSum / weight, accuracy: correct / rows.length };
}

/** One row per example: its class weight, divided by the sum over the batch, at its true label. */
function createTargets(
  { truths, classWeights }: LossPlan,
  rows: readonly number[],
): { tensor: tf.Tensor2D; weight: number } {
  const weightOfRow = (row: number): number => classWeights[truths[row] ?? 0] ?? 1;
  const weight = rows.reduce((sum, row) => sum + weightOfRow(row), 0);
  const values = new Float32Array(rows.length * classWeights.length);
  rows.forEach((row, index) => {
    values[index * classWeights.length + (truths[row] ?? 0)] = weightOfRow(row) / weight;
  });
  return { tensor: tf.tensor2d(values, [rows.length, classWeights.length]), weight };
}

function crossEntropy(logits: tf.Tensor, targets: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => tf.logSoftmax(logits).mul(targets).sum<tf.Scalar>().neg());
}

function countCorrect(logits: tf.Tensor, truths: readonly number[], rows: readonly number[]): number {
  const predicted = predictedClasses(logits, rows.length);
  return rows.filter((row, index) => predicted[index] === truths[row]).length;
}

function predictedClasses(logits: tf.Tensor, rows: number): number[] {
  const values = logits.dataSync();
  const classes = values.length / rows;
  return Array.from({ length: rows }, (_, index) => {
    const scores = values.subarray(index * classes, (index + 1) * classes);
    return scores.indexOf(Math.max(...scores));
  });
}

function gradientOf(gradients: tf.NamedTensorMap, name: string): tf.Tensor {
  const gradient = gradients[name];
  if (!gradient) throw new Error(`The loss does not depend on variable ${name}.`);
  return gradient;
}

function readScalar(scalar: tf.Scalar): number {
  return scalar.dataSync()[0] ?? NaN;
}
