import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.js';
import type { EpochMetrics, Hyperparameters } from '../../contracts/training/training.js';
import { type Weights, weightOf } from '../architectures/network.js';
import { readTensor } from '../architectures/network-tensors.js';
import type { EpochEvent } from '../jobs.js';
import { combineSeeds, shuffledIndices } from '../seeded-random.js';
import { tf } from '../tensorflow.js';
import { createAdam, type Adam } from './adam.js';
import { readCheckpoint, writeCheckpoint, type Checkpoint } from './checkpoint.js';
import { trainOnRows, validateOnRows, type LossPlan } from './epoch.js';
import type { Trainable } from './trainable.js';

export interface FitPlan {
  trainable: Trainable;
  hyperparameters: Hyperparameters;
  loss: LossPlan;
  rows: { train: readonly number[]; validation: readonly number[] };
  fingerprint: string;
  /** Checkpoint to resume from; null starts from scratch. */
  checkpointPath: string | null;
  outputFolder: string;
  /** Epochs after which to pause, although the training is not finished; when omitted, it runs to its end. */
  pauseAfter?: number;
  /** Awaited before the next epoch begins. */
  onEpoch(event: EpochEvent): Promise<void>;
}

export interface Fitted {
  checkpoint: Checkpoint;
  checkpointPath: string;
}

/**
 * Trains until the last epoch, or until the validation loss has not fallen for as many epochs as the patience allows.
 * Each epoch ends with a checkpoint. A training that is resumed from its last checkpoint gives bit-identical weights,
 * on the same libraries, processor type and thread count.
 * @throws PerennialError checkpoint_invalid for a checkpoint that is damaged or of another training
 */
export async function fit(plan: FitPlan): Promise<Fitted> {
  const resumed = plan.checkpointPath === null ? null : await resume(plan, plan.checkpointPath);
  if (resumed && plan.checkpointPath !== null && endsHere(plan, resumed)) {
    return { checkpoint: resumed, checkpointPath: plan.checkpointPath };
  }
  const adam = createAdam(plan.trainable.variables, plan.hyperparameters, resumed?.adam ?? null);
  try {
    return await runEpochs(plan, adam, resumed);
  } finally {
    adam.dispose();
  }
}

async function runEpochs(plan: FitPlan, adam: Adam, resumed: Checkpoint | null): Promise<Fitted> {
  let checkpoint = resumed;
  let previousPath: string | null = null;
  for (;;) {
    const epoch = checkpoint === null ? 0 : checkpoint.epoch + 1;
    const metrics = await runEpoch(plan, adam, epoch);
    checkpoint = advance(plan, adam, checkpoint, metrics);
    const checkpointPath = join(plan.outputFolder, `epoch-${String(epoch).padStart(4, '0')}.ckpt`);
    await writeCheckpoint(checkpointPath, checkpoint);
    await plan.onEpoch({ type: 'epoch', metrics, checkpointPath, isLast: checkpoint.isFinished });
    if (previousPath !== null) await rm(previousPath, { force: true });
    previousPath = checkpointPath;
    if (endsHere(plan, checkpoint)) return { checkpoint, checkpointPath };
  }
}

function endsHere({ pauseAfter = Infinity }: FitPlan, { isFinished, epoch }: Checkpoint): boolean {
  return isFinished || epoch + 1 >= pauseAfter;
}

async function runEpoch(
  { trainable, hyperparameters, loss, rows }: FitPlan,
  adam: Adam,
  epoch: number,
): Promise<EpochMetrics> {
  const startedAt = performance.now();
  const order = shuffledIndices(rows.train.length, combineSeeds(hyperparameters.seed, epoch));
  const shuffled = order.map((index) => rows.train[index] ?? 0);
  const { batchSize } = hyperparameters;
  const train = await trainOnRows({ trainable, adam, loss, epoch, rows: shuffled, batchSize });
  const validation = await validateOnRows({ trainable, loss, rows: rows.validation, batchSize });
  return {
    epoch,
    trainLoss: train.loss,
    trainAccuracy: train.accuracy,
    validationLoss: validation.loss,
    validationAccuracy: validation.accuracy,
    validationPrecision: validation.precision,
    validationRecall: validation.recall,
    validationF1: validation.f1,
    durationMs: performance.now() - startedAt,
  };
}

/** The state after an epoch: current weights, best weights so far, and whether the training is over. */
function advance(
  plan: FitPlan,
  adam: Adam,
  previous: Checkpoint | null,
  { epoch, validationLoss }: EpochMetrics,
): Checkpoint {
  const { epochs, earlyStoppingPatience } = plan.hyperparameters;
  if (!Number.isFinite(validationLoss)) {
    throw new PerennialError(
      'training_diverged',
      `The validation loss of epoch ${epoch} is not a number; train with a smaller learning rate than ${plan.hyperparameters.learningRate}.`,
    );
  }
  const weights = readVariables(plan.trainable);
  const isBetter = previous === null || validationLoss < previous.bestLoss;
  const best = isBetter
    ? { bestEpoch: epoch, bestLoss: validationLoss, bestWeights: weights }
    : { bestEpoch: previous.bestEpoch, bestLoss: previous.bestLoss, bestWeights: previous.bestWeights };
  return {
    fingerprint: plan.fingerprint,
    epoch,
    isFinished: epoch + 1 >= epochs || epoch - best.bestEpoch >= earlyStoppingPatience,
    ...best,
    weights,
    adam: adam.read(),
  };
}

async function resume(plan: FitPlan, path: string): Promise<Checkpoint> {
  const checkpoint = await readCheckpoint(path);
  if (checkpoint.fingerprint !== plan.fingerprint) {
    throw new PerennialError(
      'checkpoint_invalid',
      `${path} belongs to a training with other hyperparameters, images or preprocessing; start this one without it.`,
    );
  }
  writeVariables(plan.trainable, checkpoint.weights);
  return checkpoint;
}

function readVariables({ variables }: Trainable): Weights {
  return new Map(variables.map(({ name, variable }) => [name, readTensor(variable)]));
}

/** Assigns weights to the variables of a model. */
export function writeVariables({ variables }: Trainable, weights: Weights): void {
  tf.tidy(() => {
    for (const { name, variable } of variables) {
      const { values, shape } = weightOf(weights, name);
      variable.assign(tf.tensor(values, shape));
    }
  });
}
