import { access, readdir } from 'node:fs/promises';
import { createTrialRunner, type TrialRunner } from '../../../../activities/tuning/trial-runner.js';
import type { TrialInput, TrialProgress } from '../../../../contracts/experiments/tuning.js';
import type { TrainJob } from '../../../../model/jobs.js';
import { createLogger } from '../../../../platform/logging.js';
import { poll } from '../../../support/api-client.js';
import { hyperparameters } from '../../../support/measurements.js';
import { trainerOf } from '../../../support/trainer-process.js';
import { createFeatureSet, withFolder } from '../../../support/training-fixtures.js';

/** About the size of a checkpoint of a classifier on features. */
const checkpointBytes = 41_000;

interface RunOptions {
  searchId?: string;
  signal?: AbortSignal;
  /** Epochs after which a trial of the search has come to its end. */
  end?: number;
}

interface Hosted {
  runner: TrialRunner;
  /** Takes a trial of a search to a number of epochs. */
  run(number: number, epochs: number, options?: RunOptions): Promise<TrialProgress>;
  /** How often inputs were fetched. */
  fetched(): number;
  scratchFolder: string;
}

/** A runner on made-up features; nothing of it is left after the test. */
async function withHost(
  work: (hosted: Hosted) => Promise<void>,
  { distance = 0.5, ...options }: { idleMs?: number; checkpointBytes?: number; distance?: number } = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const training: Omit<TrainJob, 'checkpointPath' | 'outputFolder'> = await createFeatureSet(folder, { distance });
    const { labels, examples, featurePaths, images } = training;
    const scratchFolder = `${folder}/scratch`;
    let fetched = 0;
    const runner = createTrialRunner({
      scratchFolder,
      logger: createLogger('test', 'silent'),
      fetchInputs: () => {
        fetched += 1;
        return Promise.resolve({ labels, examples, featurePaths, images });
      },
      ...options,
    });
    const run: Hosted['run'] = (
      number,
      epochs,
      { searchId = 'a', signal = new AbortController().signal, end = 500 } = {},
    ) => {
      const trial = { number, hyperparameters: { ...hyperparameters, seed: number, epochs: end } };
      const data = { modelName: 'm', dataset: 'd', datasetVersion: 1 };
      const input: TrialInput = { searchId, ...data, trial, rung: 1, epochs };
      return runner.run(input, signal);
    };
    try {
      await work({ runner, run, fetched: () => fetched, scratchFolder });
    } finally {
      await runner.close();
    }
  });
}

const trainer = (): Promise<number> => trainerOf(process.pid);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('a runner of trials', () => {
  it('keeps one trainer for the trials of a search, with the inputs it has and the state of each trial', () =>
    withHost(async ({ run, fetched }) => {
      expect((await run(1, 2)).trained).toHaveLength(2);
      const pid = await trainer();
      await run(2, 2);
      const further = await run(1, 4);
      expect(further.trained.map(({ epoch }) => epoch)).toEqual([2, 3]);
      // As when it could not be recorded.
      expect(await run(1, 4)).toEqual(further);
      expect(await trainer()).toBe(pid);
      expect(fetched()).toBe(1);
    }));

  it('trains one at a time, and each as if it were alone', () =>
    withHost(async ({ run }) => {
      const together = await Promise.all([run(1, 3), run(2, 3), run(3, 3)]);
      const alone = await run(2, 3, { searchId: 'alone' });
      expect(together[1]).toMatchObject({ loss: alone.loss, accuracy: alone.accuracy, bestEpoch: alone.bestEpoch });
      expect(new Set(together.map(({ loss }) => loss)).size).toBe(3);
    }));

  it('keeps no checkpoint of an ended trial, and of the others the best within the limit', () =>
    withHost(
      async ({ run, scratchFolder }) => {
        const train = (number: number, epochs: number): ReturnType<typeof run> => run(number, epochs, { end: 20 });
        const left = async (): Promise<string[]> => {
          const [folder = ''] = await readdir(scratchFolder);
          return (await readdir(`${scratchFolder}/${folder}`)).filter((name) => name.startsWith('trial-')).sort();
        };
        const losses = [await train(1, 1), await train(2, 1)].map(({ loss }) => loss);
        expect(await left()).toEqual(['trial-1', 'trial-2']);
        losses.push((await train(3, 1)).loss);
        const worst = losses.indexOf(Math.max(...losses)) + 1;
        const others = [1, 2, 3].filter((number) => number !== worst);
        expect(await left()).toEqual(others.map((number) => `trial-${number}`));
        const [further = 0, ended = 0] = others;
        expect((await train(further, 3)).trained).toHaveLength(2);
        expect((await train(worst, 3)).trained).toHaveLength(3);
        expect((await train(ended, 20)).trained.length).toBeGreaterThan(1);
        expect(await left()).toEqual([further, worst].sort().map((number) => `trial-${number}`));
      },
      { checkpointBytes: 2.5 * checkpointBytes },
    ));

  it('starts a new trainer for another search and deletes the files of the previous one', () =>
    withHost(async ({ run, scratchFolder }) => {
      await run(1, 1);
      const [pid, folders] = [await trainer(), await readdir(scratchFolder)];
      await run(1, 1, { searchId: 'b' });
      expect(isAlive(pid)).toBe(false);
      expect(await readdir(scratchFolder)).toHaveLength(1);
      expect(await readdir(scratchFolder)).not.toEqual(folders);
    }));

  it('keeps the trainer after a trial that diverged', () =>
    withHost(
      async ({ run }) => {
        await expect(run(1, 1)).rejects.toMatchObject({ code: 'training_diverged' });
        const pid = await trainer();
        await expect(run(2, 1)).rejects.toMatchObject({ code: 'training_diverged' });
        expect(await trainer()).toBe(pid);
      },
      { distance: Infinity },
    ));

  it('reports that a trainer died, and trains the next trial in a new one with the same result', () =>
    withHost(async ({ run }) => {
      const before = await run(1, 3);
      const dying = run(2, 500);
      const pid = await trainer();
      process.kill(pid, 'SIGKILL');
      await expect(dying).rejects.toMatchObject({ code: 'trainer_died' });
      const after = await run(1, 3);
      expect(after).toMatchObject({ loss: before.loss, epochs: 3 });
      expect(after.trained).toHaveLength(3);
      expect(await trainer()).not.toBe(pid);
    }));

  it('does not notice a trainer that died between two trials', () =>
    withHost(async ({ run }) => {
      await run(1, 2);
      const pid = await trainer();
      process.kill(pid, 'SIGKILL');
      await poll(
        () => Promise.resolve(isAlive(pid)),
        (alive) => !alive,
      );
      expect(await run(1, 4)).toMatchObject({ epochs: 4 });
    }));

  it('kills the trainer of a trial that is cancelled, and its files with it', () =>
    withHost(async ({ run, scratchFolder }) => {
      await run(1, 1);
      const pid = await trainer();
      const controller = new AbortController();
      const cancelled = run(2, 500, { signal: controller.signal });
      setTimeout(() => controller.abort(), 50);
      await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
      expect(isAlive(pid)).toBe(false);
      expect(await readdir(scratchFolder)).toEqual([]);
      await expect(run(3, 1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    }));

  it('stops the trainer when it is idle for a while', () =>
    withHost(
      async ({ run, scratchFolder }) => {
        await run(1, 1);
        const pid = await trainer();
        await poll(
          () => readdir(scratchFolder),
          (folders) => folders.length === 0,
          5_000,
        );
        expect(isAlive(pid)).toBe(false);
        await access(scratchFolder);
        expect(await run(1, 1)).toMatchObject({ epochs: 1 });
      },
      { idleMs: 300 },
    ));
});
