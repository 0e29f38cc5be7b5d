import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createTrainingActivities, type TrainingActivities } from '../../../activities/training/activities.js';
import type { TrainingDependencies } from '../../../activities/training/dependencies.js';
import { toTemporalFailure } from '../../../activities/runtime/interceptor.js';
import { createTrialActivities } from '../../../activities/tuning/activities.js';
import type { TrainingInput } from '../../../contracts/training/training-pipeline.js';
import { createLogger } from '../../../platform/logging.js';
import { createDatasetDeletion } from '../../../stores/datasets/dataset-deletion.js';
import { createDatasetStore } from '../../../stores/datasets/datasets.js';
import { createErasureStore } from '../../../stores/erasure/erasures.js';
import { createFeatureStore } from '../../../stores/features/features.js';
import { createRegistryStore } from '../../../stores/registry/registry.js';
import { createRunStore } from '../../../stores/experiments/runs.js';
import { createTrialStore } from '../../../stores/experiments/trials.js';
import { startBucket, type TestBucket } from '../../support/bucket.js';
import { commitImages } from '../../support/dataset-version.js';
import { hyperparameters } from '../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const by = { name: 'ada', via: 'rest', from: 'test', requestId: null } as const;

let records: TestDatabase;
let bucket: TestBucket;
let deps: TrainingDependencies;
let activities: TrainingActivities;
const scratch = temporaryFolder();
beforeAll(async () => {
  [records, bucket] = await Promise.all([startTestDatabase(), startBucket()]);
  deps = {
    datasets: createDatasetStore(records.db),
    features: createFeatureStore(records.db),
    runs: createRunStore(records.db),
    registry: createRegistryStore(records.db),
    objects: bucket.objects,
    scratchFolder: scratch,
    bundleFolder: join(scratch, 'bundles'),
    codeRevision: 'abc',
    logger: createLogger('test', 'silent'),
  };
  activities = createTrainingActivities(deps);
});
afterAll(async () => {
  await Promise.all([records.stop(), bucket.stop()]);
});

const inputOf = (dataset: string): TrainingInput => ({
  modelName: 'rose',
  dataset,
  datasetVersion: 1,
  runId: randomUUID(),
  hyperparameters,
});
const run = <T>(work: () => Promise<T>): Promise<T> =>
  new MockActivityEnvironment({ attempt: 1 }, { logger: new DefaultLogger('ERROR') }).run(work);
const isFinal = async (work: Promise<unknown>): Promise<string> => {
  const failure = toTemporalFailure(await work.catch((error: unknown) => error), 1);
  expect(failure).toMatchObject({ type: 'not_found', nonRetryable: true });
  return failure instanceof Error ? failure.message : '';
};

describe('a dataset that is erased while a run uses it', () => {
  it('ends the step under way at its first attempt, with the reason', async () => {
    await commitImages(records.db, 'erased', { dandelion: [1, 2, 3], grass: [4, 5, 6] });
    const input = inputOf('erased');
    await createErasureStore(records.db).begin({ kind: 'dataset', subject: 'erased', reason: 'asked' }, by);
    const trials = createTrialActivities({ ...deps, trials: createTrialStore(records.db) });
    const trial = { number: 1, hyperparameters };
    const search = { searchId: randomUUID(), modelName: 'rose', dataset: 'erased', datasetVersion: 1 };
    for (const work of [
      () => activities.extractFeatures(input),
      () => activities.fitModel(input),
      () => activities.packageModel(input),
      () => trials.runTrialRung({ ...search, trial, rung: 1, epochs: 1 }),
    ]) {
      expect(await isFinal(run<unknown>(work))).toMatch(
        /^The run cannot continue\. Version 1 of dataset erased was erased/,
      );
    }
  }, 60_000);

  it('ends the step also when the trainer dies of it', async () => {
    await commitImages(records.db, 'halfway', { dandelion: [11, 12, 13], grass: [14, 15, 16] });
    const examples = async (): Promise<never> => {
      await createErasureStore(records.db).begin({ kind: 'dataset', subject: 'halfway', reason: 'asked' }, by);
      throw new TypeError('nothing to train on');
    };
    const broken = createTrainingActivities({ ...deps, datasets: { ...deps.datasets, examples } });
    expect(await isFinal(run(() => broken.extractFeatures(inputOf('halfway'))))).toContain(
      'dataset halfway was erased',
    );
  });
});

describe('a version that is deleted before its training', () => {
  it('ends the step with that reason', async () => {
    await commitImages(records.db, 'old', { dandelion: [21, 22, 23], grass: [24, 25, 26] });
    await commitImages(records.db, 'old', { dandelion: [21, 22, 27], grass: [24, 25, 26] }, '/more');
    const deletion = createDatasetDeletion(records.db);
    await deletion.unpublish('old', 1);
    await deletion.remove('old', 1, by);
    expect(await isFinal(run(() => activities.extractFeatures(inputOf('old'))))).toContain('does not exist');
  });
});

describe('an image whose object is gone', () => {
  it('ends the step, and says that data were removed', async () => {
    await commitImages(records.db, 'holes', { dandelion: [31, 32, 33], grass: [34, 35, 36] });
    const message = await isFinal(run(() => activities.extractFeatures(inputOf('holes'))));
    expect(message).toContain('Data of dataset holes were removed while the run used them');
  });
});
