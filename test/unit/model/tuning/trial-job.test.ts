import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Hyperparameters } from '../../../../contracts/training/training.js';
import { searchBudgetSchema, searchSpaceSchema, type TrialProgress } from '../../../../contracts/experiments/tuning.js';
import { rungs, sampleTrials, survivors, type TrialScore } from '../../../../domain/experiments/successive-halving.js';
import { readFeatures } from '../../../../model/features/feature-file.js';
import type { TrainJob } from '../../../../model/jobs.js';
import { tf } from '../../../../model/tensorflow.js';
import { readCheckpoint } from '../../../../model/training/checkpoint.js';
import { trainModel } from '../../../../model/training/train-job.js';
import { cacheLast } from '../../../../model/tuning/cache-last.js';
import { runTrial } from '../../../../model/tuning/trial-job.js';
import { errorCodeOf } from '../../../../contracts/errors.js';
import { collectEvents, createFeatureSet, createImageSet, withFolder } from '../../../support/training-fixtures.js';

type Training = Omit<TrainJob, 'checkpointPath' | 'outputFolder'>;

/** Takes a trial to a rung, in this process; fails when a tensor is left behind. */
async function trainToRung(training: Training, outputFolder: string, pauseAfter: number): Promise<TrialProgress> {
  const before = tf.memory().numTensors;
  try {
    return await runTrial({ ...training, kind: 'trial', outputFolder, pauseAfter }, readFeatures);
  } finally {
    expect(tf.memory().numTensors).toBe(before);
  }
}

const withoutTimes = ({ trained, durationMs, ...score }: TrialProgress): object => ({
  ...score,
  losses: trained.map(({ validationLoss }) => validationLoss),
  isTimed: durationMs > 0,
});

describe('a trial', () => {
  it('resumes from the previous rung, and ends like one that was trained without a pause', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 9 } });
      const first = await trainToRung(training, join(folder, 'steps'), 3);
      expect(first.trained.map(({ epoch }) => epoch)).toEqual([0, 1, 2]);
      const second = await trainToRung(training, join(folder, 'steps'), 7);
      expect(second.trained.map(({ epoch }) => epoch)).toEqual([3, 4, 5, 6]);
      const anew = await trainToRung(training, join(folder, 'anew'), 7);
      expect(anew.trained).toHaveLength(7);
      expect({ ...withoutTimes(anew), losses: [] }).toEqual({ ...withoutTimes(second), losses: [] });
      expect(await readdir(join(folder, 'steps'))).toEqual(['epoch-0006.ckpt']);
    }));

  it('gives the same result when its rung is requested twice', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 9 } });
      const first = await trainToRung(training, join(folder, 'out'), 3);
      const again = await trainToRung(training, join(folder, 'out'), 3);
      expect(again).toMatchObject({ epochs: 3, loss: first.loss, accuracy: first.accuracy, trained: [] });
    }));

  it('ends with the weights of a training with its hyper-parameters', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 6 } });
      await trainToRung(training, join(folder, 'trial'), 2);
      await trainToRung(training, join(folder, 'trial'), 6);
      const checkpointPath = null;
      const whole = await trainModel(
        { ...training, checkpointPath, outputFolder: join(folder, 'whole') },
        collectEvents(),
      );
      const [trial, full] = [
        await readCheckpoint(join(folder, 'trial', 'epoch-0005.ckpt')),
        await readCheckpoint(whole.checkpointPath),
      ];
      expect(trial).toEqual(full);
    }));

  it('is scored by a loss that weighs every image the same, whatever it is trained with', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 1 } });
      const plain = { ...training, hyperparameters: { ...training.hyperparameters, classWeights: false } };
      const [epoch] = (await trainToRung(plain, join(folder, 'plain'), 1)).trained;
      expect((await trainToRung(plain, join(folder, 'plain'), 1)).loss).toBeCloseTo(epoch?.validationLoss ?? NaN, 6);
      const rare = training.examples.filter(
        ({ label, side }, index) => label === 'grass' || side === 'test' || index % 4 === 0,
      );
      const weighted = await trainToRung({ ...training, examples: rare }, join(folder, 'weighted'), 1);
      expect(weighted.trained[0]?.validationLoss).not.toBeCloseTo(weighted.loss, 3);
    }));

  it('never uses the test split', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { epochs: 2 } });
      const swapped = {
        ...training,
        examples: training.examples.map((example) =>
          example.side === 'test' ? { ...example, label: example.label === 'grass' ? 'dandelion' : 'grass' } : example,
        ),
      };
      const honest = await trainToRung(training, join(folder, 'honest'), 2);
      expect(withoutTimes(await trainToRung(swapped, join(folder, 'swapped'), 2))).toEqual(withoutTimes(honest));
    }));

  it('fails as diverged and leaves no tensor behind', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { hyperparameters: { learningRate: 1, epochs: 5 } });
      const poisoned = async (...asked: Parameters<typeof readFeatures>): Promise<Float32Array> =>
        (await readFeatures(...asked)).map((value) => value * 1e38);
      const before = tf.memory().numTensors;
      const job = { ...training, kind: 'trial' as const, outputFolder: join(folder, 'out'), pauseAfter: 5 };
      await expect(runTrial(job, poisoned)).rejects.toMatchObject({ code: 'training_diverged' });
      expect(tf.memory().numTensors).toBe(before);
    }));

  it('trains a network on images as well', () =>
    withFolder(async (folder) => {
      const small = { architecture: 'cnn', filters: [2, 2, 2], epochs: 2 } satisfies Partial<Hyperparameters>;
      const training = await createImageSet(folder, 8, small);
      await trainToRung(training, join(folder, 'out'), 1);
      const ended = await trainToRung(training, join(folder, 'out'), 2);
      expect(ended.trained).toHaveLength(1);
      expect(await readdir(join(folder, 'out'))).toEqual(['epoch-0001.ckpt']);
    }));
});

describe('a search', () => {
  const space = searchSpaceSchema.parse({ learningRate: { min: 0.0001, max: 1 } });
  const budget = searchBudgetSchema.parse({ trials: 9, minEpochs: 1, maxEpochs: 9 });

  /** All rungs of a search, one trial after another. */
  async function search(training: Training, folder: string): Promise<TrialScore[][]> {
    const read = cacheLast(readFeatures);
    const table: TrialScore[][] = [];
    let contenders = sampleTrials(space, 9, budget);
    for (const rung of rungs(contenders.length, budget.reductionFactor, budget.minEpochs, budget.maxEpochs)) {
      const standings: TrialScore[] = [];
      for (const { number, hyperparameters } of contenders) {
        const outputFolder = join(folder, String(number));
        const job = { ...training, hyperparameters, kind: 'trial' as const, outputFolder, pauseAfter: rung.epochs };
        const loss = await runTrial(job, read).then(
          ({ loss: reached }) => reached,
          (error: unknown) => {
            expect(errorCodeOf(error)).toBe('training_diverged');
            return null;
          },
        );
        standings.push({ trial: number, loss });
      }
      table.push(standings);
      const through = survivors(standings, budget.reductionFactor);
      contenders = contenders.filter(({ number }) => through.includes(number));
    }
    return table;
  }

  it('gives identical results with the same seed', () =>
    withFolder(async (folder) => {
      const training = await createFeatureSet(folder, { perClass: 20, distance: 0.2 });
      const before = tf.memory().numTensors;
      const first = await search(training, join(folder, 'first'));
      expect(first.map((rung) => rung.length)).toEqual([9, 3, 1]);
      expect(await search(training, join(folder, 'second'))).toEqual(first);
      expect(tf.memory().numTensors).toBe(before);
    }));
});

describe('the cache of features', () => {
  it('reads the same features once, and other features again', async () => {
    const asked: string[][] = [];
    const read = cacheLast((paths) => {
      asked.push([...paths]);
      return asked.length === 1 ? Promise.reject(new Error('away')) : Promise.resolve(new Float32Array(1));
    });
    await expect(read(['a'], ['1'])).rejects.toThrow('away');
    await read(['a'], ['1']);
    await read(['a'], ['1']);
    await read(['a'], ['2']);
    expect(asked).toEqual([['a'], ['a'], ['a']]);
  });
});
