import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCodeOf } from '../../contracts/errors.js';
import type { TrialInput, TrialProgress } from '../../contracts/experiments/tuning.js';
import { startTrainer, type Trainer } from '../runtime/model-process.js';
import { trainsOnFeatures, trainsOnImages, type TrainerInputs } from '../training/fit.js';
import { createLimiter } from '../../platform/concurrently.js';
import type { Logger } from '../../platform/logging.js';

export interface TrialHostOptions {
  scratchFolder: string;
  logger: Logger;
  /** Brings what a trial trains on into the folder. */
  fetchInputs(input: TrialInput, folder: string, signal: AbortSignal): Promise<TrainerInputs>;
  idleMs?: number;
  /** Bytes of checkpoints that trials of a search may leave; the least promising go first. */
  checkpointBytes?: number;
}

/** How long a trainer waits for the next trial of its search: longer than a search takes between two rungs. */
const defaultIdleMs = 10_000;
const defaultCheckpointBytes = 2e9;

/**
 * Runs trials one at a time in a trainer process that stays for the next trial of the same search, with the images or
 * features it has: starting one takes longer than a trial.
 */
export interface TrialHost {
  /** Trains a trial on to its rung. Fails as `Trainer.run` does. */
  run(input: TrialInput, signal: AbortSignal): Promise<TrialProgress>;
  /** Ends the trainer, if there is one, after the trial under way; it also ends by itself when it is idle. */
  close(): Promise<void>;
}

/** A trainer with the inputs of one search, in a folder that is gone with it. */
interface Warm {
  searchId: string;
  folder: string;
  trainer: Trainer;
  /** By what they are made of: trials on images need other inputs than those on features. */
  inputs: Map<string, TrainerInputs>;
  /** How far each trial has got, by its number. */
  reached: Map<number, Reached>;
}

interface Reached {
  progress: TrialProgress;
  /** Epochs it was asked to have. */
  epochs: number;
  /** Size of what it goes on from; 0 when that is gone. */
  bytes: number;
}

export function createTrialHost(options: TrialHostOptions): TrialHost {
  const { idleMs = defaultIdleMs } = options;
  let warm: Warm | null = null;
  let idle: NodeJS.Timeout | undefined;
  const inTurn = createLimiter(1);
  const cool = async (): Promise<void> => {
    const former = warm;
    warm = null;
    if (former) await dispose(former);
  };
  const work = async (input: TrialInput, signal: AbortSignal): Promise<TrialProgress> => {
    clearTimeout(idle);
    try {
      if (warm?.searchId !== input.searchId || !warm.trainer.isAlive()) {
        await cool();
        warm = await heat(options, input.searchId);
      }
      const { epochs, trial } = input;
      const before = warm.reached.get(trial.number);
      // What could not be recorded is asked for again, and going on from there would tell of no epoch.
      if (before?.epochs === epochs) return before.progress;
      const progress = await train(options, warm, input, signal);
      await keep(warm, input, progress, options.checkpointBytes ?? defaultCheckpointBytes);
      return progress;
    } catch (error) {
      // A trial that diverges is itself to blame; after anything else the next one had better start afresh.
      if (errorCodeOf(error) !== 'training_diverged') await cool();
      throw error;
    } finally {
      idle = setTimeout(() => void inTurn(cool), idleMs).unref();
    }
  };
  return {
    run: (input, signal) => inTurn(() => work(input, signal)),
    close() {
      clearTimeout(idle);
      return inTurn(cool);
    },
  };
}

async function heat({ scratchFolder, logger }: TrialHostOptions, searchId: string): Promise<Warm> {
  const folder = join(scratchFolder, `search-${randomUUID()}`);
  await mkdir(folder, { recursive: true });
  return { searchId, folder, trainer: startTrainer(logger), inputs: new Map(), reached: new Map() };
}

async function dispose({ trainer, folder }: Warm): Promise<void> {
  await trainer.stop();
  await rm(folder, { recursive: true, force: true });
}

async function train(
  { fetchInputs }: TrialHostOptions,
  { folder, trainer, inputs: known }: Warm,
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
 * Notes how far a trial got, and lets checkpoints go: its own when it has come to its end, and beyond the limit those of
 * the trials that got least far with the highest loss. One that goes on without is trained from the start, to the same end.
 */
async function keep(
  { folder, reached }: Warm,
  { epochs, trial: { number, hyperparameters } }: TrialInput,
  progress: TrialProgress,
  limit: number,
): Promise<void> {
  const own: Reached = { progress, epochs, bytes: await sizeOf(folderOf(folder, number)) };
  reached.set(number, own);
  const drop = async (each: number, trial: Reached): Promise<void> => {
    await rm(folderOf(folder, each), { recursive: true, force: true });
    trial.bytes = 0;
  };
  if (epochs >= hyperparameters.epochs) await drop(number, own);
  const isOver = (): boolean => [...reached.values()].reduce((sum, { bytes }) => sum + bytes, 0) > limit;
  const worstFirst = [...reached].sort(([, a], [, b]) => a.epochs - b.epochs || b.progress.loss - a.progress.loss);
  for (const [each, trial] of worstFirst) if (isOver()) await drop(each, trial);
}

async function sizeOf(folder: string): Promise<number> {
  const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
