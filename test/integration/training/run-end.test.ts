import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { FittingDependencies } from '../../../activities/training/dependencies.js';
import { commitEpoch } from '../../../activities/training/checkpoints.js';
import { failTraining } from '../../../activities/training/fail.js';
import { fitModel } from '../../../activities/training/fit.js';
import { createTrainerPool } from '../../../activities/training/trainer-pool.js';
import { registerModel } from '../../../activities/training/register.js';
import { PerennialError } from '../../../contracts/errors.js';
import type { TrainingInput } from '../../../contracts/training/training-pipeline.js';
import { createLogger } from '../../../platform/logging.js';
import { publishBundle } from '../../../stores/registry/bundles.js';
import { createDatasetStore } from '../../../stores/datasets/datasets.js';
import { createFeatureStore } from '../../../stores/features/features.js';
import { checkpointKey, checkpointPrefix } from '../../../stores/objects/object-keys.js';
import { createRegistryStore } from '../../../stores/registry/registry.js';
import { createRunDetailStore } from '../../../stores/experiments/run-details.js';
import { createRunStore } from '../../../stores/experiments/runs.js';
import { startBucket, type TestBucket } from '../../support/bucket.js';
import { commitImages } from '../../support/dataset-version.js';
import { hyperparameters } from '../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.js';
import { writeTinyBundle } from '../../support/tiny-bundle.js';

let records: TestDatabase;
let bucket: TestBucket;
let deps: FittingDependencies;
const folder = mkdtempSync(join(tmpdir(), 'perennial-test-run-end-'));

beforeAll(async () => {
  [records, bucket] = await Promise.all([startTestDatabase(), startBucket()]);
  const { db } = records;
  await commitImages(db, 'flowers', { dandelion: [1, 2, 3], grass: [4, 5, 6] });
  const logger = createLogger('test', 'silent');
  deps = {
    datasets: createDatasetStore(db),
    features: createFeatureStore(db),
    runs: createRunStore(db),
    registry: createRegistryStore(db),
    objects: bucket.objects,
    scratchFolder: folder,
    bundleFolder: join(folder, 'bundles'),
    codeRevision: 'abc',
    logger,
    trainers: createTrainerPool(logger),
  };
});
afterAll(async () => {
  await deps.trainers.close();
  await Promise.all([records.stop(), bucket.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** A running run of which attempt 1 has committed `epochs` epochs. */
async function startRun(epochs: number): Promise<TrainingInput> {
  const input = { modelName: 'rose', dataset: 'flowers', datasetVersion: 1, hyperparameters, runId: randomUUID() };
  await deps.runs.open({ ...input, workflowId: 'train-rose', codeRevision: 'abc' }, 1);
  for (let epoch = 0; epoch < epochs; epoch += 1) await commit(input.runId, epoch);
  return input;
}

function commit(runId: string, epoch: number, world = deps): Promise<void> {
  const checkpointPath = join(folder, 'any.ckpt');
  writeFileSync(checkpointPath, `weights after epoch ${String(epoch)}`);
  const losses = { trainLoss: 1, trainAccuracy: 0.5, validationLoss: 1, validationAccuracy: 0.5, durationMs: 1 };
  return commitEpoch(world, runId, 1, { metrics: { epoch, ...losses }, checkpointPath });
}

async function checkpointsOf(runId: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of deps.objects.list(checkpointPrefix(runId))) keys.push(key);
  return keys.sort();
}

const failure = { status: 'failed', error: { code: 'training_diverged', message: 'It diverged.' } } as const;

describe('checkpoints', () => {
  it('stay for the last two epochs only while a run continues', async () => {
    const { runId } = await startRun(4);
    const kept = [2, 3].map((epoch) => checkpointKey(runId, epoch, 1));
    expect(await checkpointsOf(runId)).toEqual(kept);
    expect((await deps.runs.olderCheckpoints(runId, 0)).sort()).toEqual(kept);
    expect(await deps.runs.epochs(runId)).toHaveLength(4);
  });

  it('that cannot be pruned do not stop a run, and are removed with the next epoch', async () => {
    const { runId } = await startRun(2);
    const away = new PerennialError('object_store_unavailable', 'away');
    const objects = { ...deps.objects, deleteMany: () => Promise.reject(away) };
    await commit(runId, 2, { ...deps, objects });
    expect(await checkpointsOf(runId)).toHaveLength(3);
    await commit(runId, 3);
    expect(await checkpointsOf(runId)).toEqual([2, 3].map((epoch) => checkpointKey(runId, epoch, 1)));
  });

  it('are gone after a failure, also one that was uploaded and never recorded', async () => {
    const { runId } = await startRun(3);
    await deps.objects.put(checkpointKey(runId, 3, 1), Buffer.from('its attempt died'));
    await failTraining(deps, runId, failure);
    expect(await checkpointsOf(runId)).toEqual([]);
    expect(await deps.runs.latestCheckpoint(runId)).toBeNull();
    expect(await deps.runs.get(runId)).toMatchObject({ status: 'failed', error: failure.error });
  });

  it('are not left behind by an attempt that continues after the run has ended', async () => {
    const { runId } = await startRun(1);
    await failTraining(deps, runId, failure);
    await expect(commit(runId, 1)).rejects.toMatchObject({ code: 'stale_attempt' });
    expect(await checkpointsOf(runId)).toEqual([]);
  });

  it('of a failed run wait for an object store that is unavailable, and not for one that refuses', async () => {
    const { runId } = await startRun(1);
    const fail = (code: 'object_store_unavailable' | 'object_store_refused'): Promise<void> => {
      const objects = { ...deps.objects, deletePrefix: () => Promise.reject(new PerennialError(code, 'no')) };
      return failTraining({ ...deps, objects }, runId, failure);
    };
    await expect(fail('object_store_unavailable')).rejects.toMatchObject({ code: 'object_store_unavailable' });
    expect((await deps.runs.get(runId))?.status).toBe('failed');
    await fail('object_store_refused');
  });
});

describe('a run that is stopped half-way', () => {
  it('keeps its parameters, metrics, files and error; only its checkpoints are removed', async () => {
    const details = createRunDetailStore(records.db);
    const cancelled = { status: 'cancelled', error: { code: 'cancelled', message: 'The run was cancelled.' } } as const;
    for (const ending of [failure, cancelled]) {
      const { runId } = await startRun(3);
      const artifact = {
        name: 'curves.svg',
        objectKey: `runs/${runId}/curves.svg`,
        sha256: 'a'.repeat(64),
        sizeBytes: 3,
      };
      await deps.objects.put(artifact.objectKey, Buffer.from('svg'));
      await deps.runs.addArtifact(runId, artifact);
      await failTraining(deps, runId, ending);
      expect(await details.detail(runId)).toMatchObject({
        ...ending,
        hyperparameters,
        experiment: 'rose',
        finalMetrics: { validation_loss: 1, train_accuracy: 0.5 },
        checkpoints: 0,
      });
      expect(await deps.runs.epochs(runId)).toHaveLength(3);
      expect(await deps.runs.artifacts(runId)).toEqual([artifact]);
      expect(Buffer.from(await deps.objects.get(artifact.objectKey)).toString()).toBe('svg');
    }
  });
});

describe('registering', () => {
  it('completes the run and removes its checkpoints, once', async () => {
    const input = await startRun(2);
    const bundleFolder = join(folder, input.runId);
    const manifest = await writeTinyBundle(bundleFolder, { modelName: 'rose', runId: input.runId });
    const bundle = await publishBundle(deps.objects, bundleFolder, 'rose');
    expect((await deps.runs.get(input.runId))?.status).toBe('running');
    const registered = await registerModel(deps, input, bundle);
    expect(await deps.runs.get(input.runId)).toMatchObject({
      status: 'completed',
      weightsSha256: manifest.weightsSha256,
      metrics: { test: registered.test },
    });
    expect(await checkpointsOf(input.runId)).toEqual([]);
    expect(await registerModel(deps, input, bundle)).toEqual(registered);
    await failTraining(deps, input.runId, failure);
    expect((await deps.runs.get(input.runId))?.status).toBe('completed');
  });
});

describe('fitting', () => {
  it('holds the run under the number of its Temporal attempt', async () => {
    const input = await startRun(0);
    const examples = (): Promise<never> => Promise.reject(new PerennialError('not_found', 'no such version'));
    const fit = (attempt: number): Promise<unknown> =>
      new MockActivityEnvironment({ attempt }, { logger: new DefaultLogger('ERROR') }).run(() =>
        fitModel({ ...deps, datasets: { ...deps.datasets, examples } }, input),
      );
    await expect(fit(7)).rejects.toMatchObject({ code: 'not_found' });
    expect((await deps.runs.get(input.runId))?.attempt).toBe(7);
    await expect(fit(6)).rejects.toMatchObject({ code: 'stale_attempt' });
  });
});
