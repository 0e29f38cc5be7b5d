import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCodeOf } from '../../contracts/errors.js';
import type { TrialInput, TrialProgress } from '../../contracts/tuning.js';
import { startTrainer, type Trainer } from '../model-process.js';
import { trainsOnFeatures, trainsOnImages, type TrainerInputs } from '../training/fit.js';
import type { Logger } from '../../platform/logging.js';

export interface TrialHostOptions {
  scratchFolder: string;
  logger: Logger;
  /** Brings what a trial trains on into the folder. */
  fetchInputs(input: TrialInput, folder: string, signal: AbortSignal): Promise<TrainerInputs>;
  idleMs?: number;
}

/** How long a trainer waits for the next trial of its search: longer than a search takes between two rungs. */
const defaultIdleMs = 10_000;

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
}

export function createTrialHost(options: TrialHostOptions): TrialHost {
  const { idleMs = defaultIdleMs } = options;
  let warm: Warm | null = null;
  let idle: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
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
      return await train(options, warm, input, signal);
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
  return { searchId, folder, trainer: startTrainer(logger), inputs: new Map() };
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
  const outputFolder = join(folder, `trial-${number}`);
  const job = { kind: 'trial', hyperparameters, ...inputs, pauseAfter: input.epochs, outputFolder } as const;
  return trainer.run(job, { signal });
}
