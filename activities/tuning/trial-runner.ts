import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCodeOf } from '../../contracts/errors.js';
import type { TrialInput, TrialProgress } from '../../contracts/experiments/tuning.js';
import { startTrainer, type Trainer } from '../runtime/model-process.js';
import { trainsOnFeatures, trainsOnImages, type TrainerInputs } from '../training/fit.js';
import { createLimiter } from '../../platform/concurrently.js';
import type { Logger } from '../../platform/logging.js';

export interface TrialRunnerOptions {
  scratchFolder: string;
  logger: Logger;
  /** Downloads the inputs of a trial into the folder. */
  fetchInputs(input: TrialInput, folder: string, signal: AbortSignal): Promise<TrainerInputs>;
  idleMs?: number;
  /** Maximum bytes of checkpoints of a search; those of the worst trials are deleted first. */
  checkpointBytes?: number;
}

/** How long an idle trainer is kept for the next trial: longer than a search takes between two rungs. */
const defaultIdleMs = 10_000;
const defaultCheckpointBytes = 2e9;

/**
 * Runs trials one at a time in a trainer process that is reused for the next trial of the same search, with its downloaded
 * images or features, because starting a process takes longer than a trial.
 */
export interface TrialRunner {
  /** Trains a trial up to its rung. Throws what `Trainer.run` throws. */
  run(input: TrialInput, signal: AbortSignal): Promise<TrialProgress>;
  /** Stops the trainer, if there is one, after the running trial. An idle trainer is also stopped after a while. */
  close(): Promise<void>;
}

/** A trainer with the inputs of one search, in a folder that is deleted with it. */
interface WarmTrainer {
  searchId: string;
  folder: string;
  trainer: Trainer;
  /** By kind: trials on images need other inputs than trials on features. */
  inputs: Map<string, TrainerInputs>;
  /** Progress of each trial, by its number. */
  reached: Map<number, Reached>;
}

interface Reached {
  progress: TrialProgress;
  /** Epochs of the rung that it reached. */
  epochs: number;
  /** Size of its checkpoint; 0 when that was deleted. */
  bytes: number;
}

export function createTrialRunner(options: TrialRunnerOptions): TrialRunner {
  const { idleMs = defaultIdleMs } = options;
  let warm: WarmTrainer | null = null;
  let idle: NodeJS.Timeout | undefined;
  const oneAtATime = createLimiter(1);
  const stopTrainer = async (): Promise<void> => {
    const previous = warm;
    warm = null;
    if (previous) await dispose(previous);
  };
  const work = async (input: TrialInput, signal: AbortSignal): Promise<TrialProgress> => {
    clearTimeout(idle);
    try {
      if (warm?.searchId !== input.searchId || !warm.trainer.isAlive()) {
        await stopTrainer();
        warm = await startWarmTrainer(options, input.searchId);
      }
      const { epochs, trial } = input;
      const before = warm.reached.get(trial.number);
      // A retry after a failed write gets the stored result: continuing from there would train no epoch.
      if (before?.epochs === epochs) return before.progress;
      const progress = await train(options, warm, input, signal);
      await recordTrial(warm, input, progress, options.checkpointBytes ?? defaultCheckpointBytes);
      return progress;
    } catch (error) {
      // After an error other than divergence the trainer may be broken; the next trial gets a new one.
      if (errorCodeOf(error) !== 'training_diverged') await stopTrainer();
      throw error;
    } finally {
      idle = setTimeout(() => void oneAtATime(stopTrainer), idleMs).unref();
    }
  };
  return {
    run: (input, signal) => oneAtATime(() => work(input, signal)),
    close() {
      clearTimeout(idle);
      return oneAtATime(stopTrainer);
    },
  };
}

async function startWarmTrainer({ scratchFolder, logger }: TrialRunnerOptions, searchId: string): Promise<WarmTrainer> {
  const folder = join(scratchFolder, `search-${randomUUID()}`);
  await mkdir(folder, { recursive: true });
  return { searchId, folder, trainer: startTrainer(logger), inputs: new Map(), reached: new Map() };
}

async function dispose({ trainer, folder }: WarmTrainer): Promise<void> {
  await trainer.stop();
  await rm(folder, { recursive: true, force: true });
}

async function train(
  { fetchInputs }: TrialRunnerOptions,
  { folder, trainer, inputs: known }: WarmTrainer,
  input: TrialInput,
  signal: AbortSignal,
): Promise<TrialProgress> {
  const { number, hyperparameters } = input.trial;
  const kind = `${trainsOnFeatures(hyperparameters)} ${trainsOnImages(hyperparameters)}`;
  const inputs = known.get(kind) ?? (await fetchInputs(input, folder, signal));
  known.set(kind, inputs);
  const outputFolder = folderOf(folder, number);
  const job = { kind: 'trial', hyperparameters, ...inputs, pauseAfter: input.epochs, outputFolder } as const;
  return trainer.run(job, { signal });
}

function folderOf(folder: string, number: number): string {
  return join(folder, `trial-${number}`);
}

/**
 * Stores the progress of a trial and deletes checkpoints: its own after the last rung, and beyond the limit those of the
 * trials with the fewest epochs and the highest loss. A trial without a checkpoint is trained from the start, with the
 * same result.
 */
async function recordTrial(
  { folder, reached }: WarmTrainer,
  { epochs, trial: { number, hyperparameters } }: TrialInput,
  progress: TrialProgress,
  limit: number,
): Promise<void> {
  const current: Reached = { progress, epochs, bytes: await sizeOf(folderOf(folder, number)) };
  reached.set(number, current);
  const drop = async (each: number, trial: Reached): Promise<void> => {
    await rm(folderOf(folder, each), { recursive: true, force: true });
    trial.bytes = 0;
  };
  if (epochs >= hyperparameters.epochs) await drop(number, current);
  const isOver = (): boolean => [...reached.values()].reduce((sum, { bytes }) => sum + bytes, 0) > limit;
  const worstFirst = [...reached].sort(([, a], [, b]) => a.epochs - b.epochs || b.progress.loss - a.progress.loss);
  for (const [each, trial] of worstFirst) if (isOver()) await drop(each, trial);
}

async function sizeOf(folder: string): Promise<number> {
  const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
