import { setImmediate } from 'node:timers/promises';
import type { CrossValidation, Hyperparameters } from '../../contracts/training/training.js';
import { backboneFeatures } from '../architectures/backbone-digest.js';
import type { Weights, WeightTensor } from '../architectures/network.js';
import { createClassifierWeights } from '../architectures/starting-weights.js';
import { combineSeeds, shuffledIndices } from '../seeded-random.js';
import { tf } from '../tensorflow.js';
import { createAdam } from './adam.js';
import { classWeightsOf, countLabels } from './labelled-rows.js';
import { createVariables, disposeVariables } from './variables.js';

export interface CrossValidationPlan {
  /** Embeddings of all rows, one after another. */
  features: Float32Array;
  truths: readonly number[];
  classes: number;
  /** The rows to divide: never those of the test split. */
  rows: readonly number[];
  hyperparameters: Hyperparameters;
  /** Epochs of each classifier: there is no validation split left for early stopping. */
  epochs: number;
}

/** Accuracies, and the out-of-fold logits of each row, in the order of the rows. */
export interface CrossValidated {
  summary: CrossValidation;
  logits: number[][];
}

const folds = 5;

/**
 * Stratified five-fold cross-validation. The five classifiers are columns of one matrix and trained together, each with
 * a loss that excludes its own fold: Adam updates every number independently, so this equals five trainings at the cost
 * of one.
 */
export async function crossValidate(plan: CrossValidationPlan): Promise<CrossValidated> {
  const foldOf = assignFolds(plan);
  const start = createClassifierWeights(backboneFeatures, plan.classes, plan.hyperparameters.seed);
  const variables = createVariables(repeatColumns(start));
  const adam = createAdam(variables, plan.hyperparameters, null);
  const matrix = tf.tensor2d(plan.features, [plan.features.length / backboneFeatures, backboneFeatures]);
  const [kernel, bias] = variables.map(({ variable }) => variable);
  if (!kernel || !bias) throw new Error('A classifier has a kernel and a bias.');
  const logitsOf = (rows: readonly number[]): tf.Tensor2D =>
    tf.tidy(() => {
      const logits = tf
        .gather(matrix, tf.tensor1d([...rows], 'int32'))
        .matMul(kernel)
        .add(bias);
      return logits.reshape([rows.length * folds, plan.classes]);
    });
  try {
    for (let epoch = 0; epoch < plan.epochs; epoch++) {
      for (const rows of batchesOf(plan, epoch)) {
        const targets = createTargets(plan, rows, foldOf);
        const { value, grads } = tf.variableGrads(
          () => tf.logSoftmax(logitsOf(rows)).mul(targets).sum<tf.Scalar>().neg(),
          [kernel, bias],
        );
        adam.apply([kernel, bias].map(({ name }) => grads[name] ?? tf.scalar(0)));
        tf.dispose([value, grads, targets]);
      }
      await setImmediate();
    }
    const logits = outOfFold(plan, foldOf, logitsOf);
    return { summary: summarise(plan, foldOf, logits), logits };
  } finally {
    adam.dispose();
    disposeVariables(variables);
    matrix.dispose();
  }
}

/** The fold of each row, by row. */
function assignFolds({ rows, truths, classes, hyperparameters }: CrossValidationPlan): Map<number, number> {
  const order = shuffledIndices(rows.length, combineSeeds(hyperparameters.seed, 0xf01d));
  const seen = new Array<number>(classes).fill(0);
  return new Map(
    order.map((index) => {
      const row = rows[index] ?? 0;
      const truth = truths[row] ?? 0;
      const turn = seen[truth] ?? 0;
      seen[truth] = turn + 1;
      // Classes start at different folds, so that small classes do not all fill the first ones.
      return [row, (turn + truth) % folds];
    }),
  );
}

function* batchesOf({ rows, hyperparameters }: CrossValidationPlan, epoch: number): Generator<number[]> {
  const { batchSize, seed } = hyperparameters;
  const order = shuffledIndices(rows.length, combineSeeds(seed, epoch)).map((index) => rows[index] ?? 0);
  for (let from = 0; from < order.length; from += batchSize) yield order.slice(from, from + batchSize);
}

function repeatColumns(weights: Weights): Weights {
  return new Map([...weights].map(([name, tensor]) => [name, repeatLastSide(tensor)]));
}

function repeatLastSide({ shape, values }: WeightTensor): WeightTensor {
  const width = shape.at(-1) ?? 1;
  const repeated = new Float32Array(values.length * folds);
  for (let index = 0; index < repeated.length; index++) {
    const row = Math.floor(index / (width * folds));
    repeated[index] = values[row * width + (index % width)] ?? 0;
  }
  return { shape: [...shape.slice(0, -1), width * folds], values: repeated };
}

/** Class weights at the true labels; for each classifier only over the rows of the batch outside its fold. */
function createTargets(
  plan: CrossValidationPlan,
  rows: readonly number[],
  foldOf: ReadonlyMap<number, number>,
): tf.Tensor2D {
  const { truths, classes, hyperparameters } = plan;
  const weights = classWeightsOf(countLabels(truths, plan.rows, classes), hyperparameters.classWeights);
  const values = new Float32Array(rows.length * folds * classes);
  for (let fold = 0; fold < folds; fold++) {
    const weightOfRow = (row: number): number => (foldOf.get(row) === fold ? 0 : (weights[truths[row] ?? 0] ?? 1));
    const total = rows.reduce((sum, row) => sum + weightOfRow(row), 0);
    rows.forEach((row, index) => {
      const at = (index * folds + fold) * classes + (truths[row] ?? 0);
      values[at] = total === 0 ? 0 : weightOfRow(row) / total;
    });
  }
  return tf.tensor2d(values, [rows.length * folds, classes]);
}

function outOfFold(
  { rows, classes }: CrossValidationPlan,
  foldOf: ReadonlyMap<number, number>,
  logitsOf: (rows: readonly number[]) => tf.Tensor2D,
): number[][] {
  const logits = logitsOf(rows);
  const values = logits.dataSync();
  logits.dispose();
  return rows.map((row, index) => {
    const from = (index * folds + (foldOf.get(row) ?? 0)) * classes;
    return Array.from(values.subarray(from, from + classes));
  });
}

function summarise(
  { rows, truths }: CrossValidationPlan,
  foldOf: ReadonlyMap<number, number>,
  logits: readonly (readonly number[])[],
): CrossValidation {
  const accuracies = Array.from({ length: folds }, (_, fold) => {
    const outcomes = rows.flatMap((row, index) => {
      if (foldOf.get(row) !== fold) return [];
      const scores = logits[index] ?? [];
      return [scores.indexOf(Math.max(...scores)) === truths[row]];
    });
    return outcomes.filter(Boolean).length / Math.max(outcomes.length, 1);
  });
  const meanAccuracy = accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / folds;
  const variance = accuracies.reduce((sum, accuracy) => sum + (accuracy - meanAccuracy) ** 2, 0) / (folds - 1);
  return { folds, accuracies, meanAccuracy, standardDeviation: Math.sqrt(variance) };
}
