import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runModelJob } from '../../../../activities/runtime/model-process.js';
import type { TrainerMessage, TrainerOrder, TrainJob } from '../../../../model/jobs.js';
import { createLogger } from '../../../../platform/logging.js';
import { trainerOf } from '../../../support/trainer-process.js';
import { createFeatureSet, withFolder } from '../../../support/training-fixtures.js';

const logger = createLogger('test', 'silent');
const trainer = fileURLToPath(new URL('../../../../workers/model-child.js', import.meta.url));

/** A training that would go on for a long time. */
async function longTraining(folder: string): Promise<TrainJob> {
  const training = await createFeatureSet(folder, { hyperparameters: { epochs: 1000, earlyStoppingPatience: 1000 } });
  return { ...training, checkpointPath: null, outputFolder: folder };
}

describe('a trainer process', () => {
  it('is killed when its job is cancelled', () =>
    withFolder(async (folder) => {
      const controller = new AbortController();
      const work = runModelJob(await longTraining(folder), {
        signal: controller.signal,
        logger,
        onEpoch: () => {
          controller.abort();
          return Promise.resolve();
        },
      });
      await expect(work).rejects.toMatchObject({ code: 'cancelled' });
    }));

  it('is not started for a job that was cancelled before', () =>
    withFolder(async (folder) => {
      const work = runModelJob(await longTraining(folder), { signal: AbortSignal.abort(), logger });
      await expect(work).rejects.toMatchObject({ code: 'cancelled' });
    }));

  it('reports its failure with its code', () =>
    withFolder(async (folder) => {
      const job = { ...(await longTraining(folder)), featurePaths: [] };
      const work = runModelJob(job, { signal: new AbortController().signal, logger });
      await expect(work).rejects.toMatchObject({ code: 'not_found' });
    }));

  it('survives a job that is not valid, and says what is wrong with it', () =>
    withFolder(async (folder) => {
      const job = { ...(await longTraining(folder)), labels: [], examples: [] };
      const work = runModelJob(job, { signal: new AbortController().signal, logger });
      await expect(work).rejects.toMatchObject({ code: 'internal' });
      await expect(work).rejects.toThrow('The job is not valid');
    }));

  it('stops when an epoch cannot be recorded, with the error of the database', () =>
    withFolder(async (folder) => {
      const epochs: number[] = [];
      const work = runModelJob(await longTraining(folder), {
        signal: new AbortController().signal,
        logger,
        onEpoch: ({ metrics }) => {
          epochs.push(metrics.epoch);
          return Promise.reject(new Error('overtaken'));
        },
      });
      await expect(work).rejects.toThrow('overtaken');
      expect(epochs).toEqual([0]);
    }));

  it('exits in the middle of its work when its parent has exited', () =>
    withFolder(async (folder) => {
      const child = fork(trainer, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
      const order: TrainerOrder = { type: 'job', job: await longTraining(folder) };
      child.on('message', (message: TrainerMessage) => {
        if (message.type !== 'epoch') return;
        const recorded: TrainerOrder = { type: 'recorded', epoch: message.metrics.epoch };
        child.send(recorded, () => child.connected && child.disconnect());
      });
      child.send(order);
      expect(await once(child, 'exit')).toEqual([1, null]);
    }));

  it('that is killed from outside is reported as dead', () =>
    withFolder(async (folder) => {
      const work = runModelJob(await longTraining(folder), {
        signal: new AbortController().signal,
        logger,
        onEpoch: async () => void process.kill(await trainerOf(process.pid), 'SIGKILL'),
      });
      await expect(work).rejects.toMatchObject({ code: 'trainer_died' });
      await expect(work).rejects.toThrow('SIGKILL');
    }));
});
