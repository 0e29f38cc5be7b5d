import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runModelJob } from '../../../../activities/runtime/model-process.js';
import type { EpochEvent, ModelJobResults, TrainJob } from '../../../../model/jobs.js';
import { createLogger } from '../../../../platform/logging.js';
import { createFeatureSet, createImageSet, withFolder } from '../../../support/training-fixtures.js';

type Training = Omit<TrainJob, 'checkpointPath' | 'outputFolder'>;

const logger = createLogger('test', 'silent');

/** Trains in a separate trainer process; epochs are reported to `onEpoch`, which may abort. */
function train(
  training: Training,
  outputFolder: string,
  options: { checkpointPath?: string; onEpoch?: (event: EpochEvent, abort: () => void) => Promise<void> } = {},
): Promise<ModelJobResults['train']> {
  const controller = new AbortController();
  return runModelJob(
    { ...training, checkpointPath: options.checkpointPath ?? null, outputFolder },
    {
      signal: controller.signal,
      logger,
      onEpoch: async (event) => options.onEpoch?.(event, () => controller.abort()),
    },
  );
}

/**
 * Trains until an epoch is recorded, kills the trainer `afterMs` later, and gives the path of that epoch's checkpoint. The
 * next epoch is never recorded, so a trainer faster than `afterMs` waits at its end and is killed there.
 */
async function trainUntilKilled(training: Training, folder: string, epoch: number, afterMs: number): Promise<string> {
  const kept = join(folder, 'kept.ckpt');
  const killed = train(training, join(folder, 'killed'), {
    onEpoch: async ({ metrics, checkpointPath }, abort) => {
      if (metrics.epoch > epoch) await new Promise<never>(() => undefined);
      if (metrics.epoch !== epoch) return;
      await copyFile(checkpointPath, kept);
      setTimeout(abort, afterMs);
    },
  });
  await expect(killed).rejects.toMatchObject({ code: 'cancelled' });
  return kept;
}

describe('a training that was killed and resumed', () => {
  it('ends with a classifier bit-identical to that of an uninterrupted one', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 6, batchSize: 8 } });
      const undisturbed = await train(training, join(folder, 'whole'));
      const checkpointPath = await trainUntilKilled(training, folder, 2, 0);
      const resumed = await train(training, join(folder, 'resumed'), { checkpointPath });
      expect(resumed).toMatchObject({
        weightsSha256: undisturbed.weightsSha256,
        bestEpoch: undisturbed.bestEpoch,
        epochs: undisturbed.epochs,
      });
    }));

  it('ends with a cnn bit-identical to that of an uninterrupted one when it was killed in the middle of an epoch', () =>
    withFolder(async (folder) => {
      const training = await createImageSet(folder, 6, {
        architecture: 'cnn',
        epochs: 3,
        batchSize: 4,
        filters: [4, 4, 4],
      });
      const durations: number[] = [];
      const undisturbed = await train(training, join(folder, 'whole'), {
        onEpoch: ({ metrics }) => {
          durations.push(metrics.durationMs);
          return Promise.resolve();
        },
      });
      const checkpointPath = await trainUntilKilled(training, folder, 1, Math.min(...durations) / 4);
      const resumed = await train(training, join(folder, 'resumed'), { checkpointPath });
      expect(resumed).toMatchObject({
        weightsSha256: undisturbed.weightsSha256,
        bestEpoch: undisturbed.bestEpoch,
        epochs: undisturbed.epochs,
      });
    }));
});
