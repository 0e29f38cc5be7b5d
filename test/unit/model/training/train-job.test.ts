import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EpochEvent, TrainJob } from '../../../../model/jobs.js';
import { readCheckpoint } from '../../../../model/training/checkpoint.js';
import { trainModel } from '../../../../model/training/train-job.js';
import { tf } from '../../../../model/tensorflow.js';
import { collectEvents, createFeatureSet, createImageSet, withFolder } from '../../../support/training-fixtures.js';

type Training = Omit<TrainJob, 'checkpointPath' | 'outputFolder'>;

/** Trains in this process and gives the epochs; fails when a tensor is left behind. */
async function train(training: Training, outputFolder: string): Promise<EpochEvent[]> {
  const before = tf.memory().numTensors;
  const events = collectEvents();
  await trainModel({ ...training, checkpointPath: null, outputFolder }, events);
  expect(tf.memory().numTensors).toBe(before);
  return events.epochs;
}

async function digestOf(training: Training, outputFolder: string): Promise<string> {
  const result = await trainModel({ ...training, checkpointPath: null, outputFolder }, collectEvents());
  return result.weightsSha256;
}

describe('training a classifier on embeddings', () => {
  it('learns three separable classes', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { labels: ['a', 'b', 'c'] });
      const epochs = await train(training, join(folder, 'out'));
      expect(Math.max(...epochs.map(({ metrics }) => metrics.validationAccuracy))).toBeGreaterThan(0.9);
      for (const name of ['validationF1', 'validationPrecision', 'validationRecall'] as const) {
        expect(Math.max(...epochs.map(({ metrics }) => metrics[name] ?? 0))).toBeGreaterThan(0.9);
      }
    }));

  it('stops when the validation loss has not fallen for the patience, and keeps the best weights', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, {
        distance: 0,
        hyperparameters: { epochs: 50, earlyStoppingPatience: 3 },
      });
      const events = collectEvents();
      const result = await trainModel({ ...training, checkpointPath: null, outputFolder: join(folder, 'out') }, events);
      const losses = events.epochs.map(({ metrics }) => metrics.validationLoss);
      expect(losses.indexOf(Math.min(...losses))).toBe(result.bestEpoch);
      expect(losses).toHaveLength(result.bestEpoch + 1 + 3);
      expect(events.epochs.map(({ isLast }) => isLast)).toEqual(losses.map((_, epoch) => epoch === losses.length - 1));
      const checkpoint = await readCheckpoint(result.checkpointPath);
      expect(checkpoint.bestWeights).not.toEqual(checkpoint.weights);
    }));

  it('leaves one checkpoint behind, that of the last epoch', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 3 } });
      await train(training, join(folder, 'out'));
      expect(await readdir(join(folder, 'out'))).toEqual(['epoch-0002.ckpt']);
    }));

  it('gives a rare class its weight', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, {
        distance: 0.1,
        hyperparameters: { epochs: 1, batchSize: 512 },
      });
      const rare = {
        ...training,
        examples: training.examples.filter(
          ({ label, side }, index) => label === 'grass' || side !== 'train' || index < 4,
        ),
      };
      const lossOf = async (classWeights: boolean, name: string): Promise<number> => {
        const [epoch] = await train(
          { ...rare, hyperparameters: { ...rare.hyperparameters, classWeights } },
          join(folder, name),
        );
        return epoch?.metrics.trainLoss ?? NaN;
      };
      expect(await lossOf(true, 'weighted')).not.toBeCloseTo(await lossOf(false, 'plain'), 3);
    }));

  it('fails as diverged instead of storing NaN', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, {
        hyperparameters: { weightDecay: 1, learningRate: 1, epochs: 1 },
      });
      const broken = { ...training, hyperparameters: { ...training.hyperparameters, learningRate: 1e38 } };
      await expect(train(broken, join(folder, 'out'))).rejects.toMatchObject({ code: 'training_diverged' });
    }));

  it('refuses a dataset whose validation split is empty', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder);
      const examples = training.examples.filter(({ side }) => side !== 'validation');
      await expect(train({ ...training, examples }, join(folder, 'out'))).rejects.toMatchObject({
        code: 'dataset_too_small',
      });
    }));
});

describe('a training', () => {
  it('does not depend on the order the examples come in', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 2 } });
      const reversed = { ...training, examples: [...training.examples].reverse() };
      const [one, two] = [await digestOf(training, folder), await digestOf(reversed, folder)];
      expect(two).toBe(one);
    }));

  it('depends on the seed', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 2 } });
      const other = { ...training, hyperparameters: { ...training.hyperparameters, seed: 43 } };
      expect(await digestOf(other, folder)).not.toBe(await digestOf(training, folder));
    }));

  it('is not resumed with other hyperparameters', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 1 } });
      const job = { ...training, checkpointPath: null, outputFolder: folder };
      const { checkpointPath } = await trainModel(job, collectEvents());
      const other = { ...training.hyperparameters, learningRate: 0.01 };
      const resumed = trainModel({ ...job, hyperparameters: other, checkpointPath }, collectEvents());
      await expect(resumed).rejects.toMatchObject({ code: 'checkpoint_invalid' });
    }));

  it('ends at once when its last epoch had ended', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 2 } });
      const job = { ...training, checkpointPath: null, outputFolder: folder };
      const first = await trainModel(job, collectEvents());
      const events = collectEvents();
      const again = await trainModel({ ...job, checkpointPath: first.checkpointPath }, events);
      expect(again.weightsSha256).toBe(first.weightsSha256);
      expect(events.epochs).toEqual([]);
    }));
});

describe('training on images', () => {
  it('trains the cnn, and deletes its file of pixels', () =>
    withFolder(async (folder) => {
      const training = await createImageSet(folder, 10, {
        architecture: 'cnn',
        epochs: 4,
        filters: [4, 4, 4],
        batchSize: 4,
        learningRate: 0.01,
      });
      const epochs = await train(training, join(folder, 'out'));
      expect(epochs.at(-1)?.metrics.trainLoss).toBeLessThan(epochs[0]?.metrics.trainLoss ?? 0);
      expect(await readdir(join(folder, 'out'))).toEqual(['epoch-0003.ckpt']);
    }));

  it('fine-tunes the last block of the backbone together with a new classifier', () =>
    withFolder(async (folder) => {
      const training = await createImageSet(folder, 5, { fineTuneBlocks: 1, epochs: 2, batchSize: 4 });
      const epochs = await train(training, join(folder, 'out'));
      const { weights } = await readCheckpoint(join(folder, 'out', 'epoch-0001.ckpt'));
      expect([...weights.keys()].sort()).toEqual(
        ['block15/depthwise', 'block15/expand', 'block15/project', 'classifier', 'head'].flatMap((name) => [
          `${name}/bias`,
          `${name}/kernel`,
        ]),
      );
      expect(epochs[1]?.metrics.trainLoss).toBeLessThan(epochs[0]?.metrics.trainLoss ?? 0);
    }));
});
