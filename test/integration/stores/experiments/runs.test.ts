import { randomUUID } from 'node:crypto';
import type { EpochMetrics, ModelMetrics } from '../../../../contracts/training/training.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';
import type { Database } from '../../../../stores/postgres/database.js';
import { createRegistryStore } from '../../../../stores/registry/registry.js';
import { createRunStore, type RunStore } from '../../../../stores/experiments/runs.js';
import { commitImages } from '../../../support/dataset-version.js';
import { evaluationOf, hyperparameters } from '../../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

let records: TestDatabase;
let runs: RunStore;
beforeAll(async () => {
  records = await startTestDatabase();
  runs = createRunStore(records.db);
  await commitImages(records.db, 'flowers', { a: [1, 2, 3], b: [4, 5, 6] });
});
afterAll(() => records.stop());

function open(runId: string, attempt = 1): Promise<void> {
  const run = { runId, modelName: 'rose', dataset: 'flowers', datasetVersion: 1, hyperparameters };
  return runs.open({ ...run, workflowId: 'train-rose', codeRevision: 'abc' }, attempt);
}

function register(runId: string): Promise<ModelVersion> {
  return createRegistryStore(records.db).register(
    {
      modelName: 'rose',
      runId,
      architecture: 'cnn',
      labels: ['a', 'b'],
      dataset: 'flowers',
      datasetVersion: 1,
      datasetDigest: 'd',
      bundleKey: 'models/x',
      bundleSha256: '0'.repeat(64),
      sizeBytes: 1,
      evaluation: evaluationOf(0.95),
      semanticVersion: nextSemanticVersion,
    },
    { weightsSha256: 'f'.repeat(64), bestEpoch: 4, metrics },
  );
}

function metricsOf(epoch: number): EpochMetrics {
  return {
    epoch,
    trainLoss: 1 / 3,
    trainAccuracy: 0.1 + epoch / 7,
    validationLoss: 0.7,
    validationAccuracy: 0.5,
    durationMs: 12.5,
  };
}

function checkpointOf(epoch: number, attempt: number): { objectKey: string; sha256: string; sizeBytes: number } {
  return {
    objectKey: `checkpoints/${String(epoch)}-${String(attempt)}`,
    sha256: String(epoch).padStart(64, '0'),
    sizeBytes: 3_000_000_000,
  };
}

const metrics: ModelMetrics = {
  temperature: 1.2,
  validation: evaluationOf(0.9),
  test: evaluationOf(0.95),
  uncalibratedTestCalibrationError: 0.1,
  crossValidation: null,
  epochs: [metricsOf(0)],
  bestEpoch: 0,
};

describe('a training run', () => {
  it('has the number of the attempt that owns it', async () => {
    const runId = randomUUID();
    await open(runId, 2);
    await open(runId, 2);
    await open(runId, 5);
    expect(await runs.get(runId)).toMatchObject({ attempt: 5, status: 'running', hyperparameters, metrics: null });
  });

  it('stays with the later attempt when an earlier one opens it late', async () => {
    const runId = randomUUID();
    await open(runId, 1);
    await open(runId, 2);
    await expect(open(runId, 1)).rejects.toMatchObject({ code: 'stale_attempt' });
    await runs.recordEpoch(runId, 2, metricsOf(0), checkpointOf(0, 2));
    expect(await runs.get(runId)).toMatchObject({ attempt: 2, status: 'running' });
  });

  it('returns every number of an epoch exactly', async () => {
    const runId = randomUUID();
    await open(runId);
    for (const epoch of [0, 1, 2]) await runs.recordEpoch(runId, 1, metricsOf(epoch), checkpointOf(epoch, 1));
    expect(await runs.epochs(runId)).toEqual([0, 1, 2].map(metricsOf));
    const { objectKey, sha256 } = checkpointOf(2, 1);
    expect(await runs.latestCheckpoint(runId)).toEqual({ epoch: 2, objectKey, sha256 });
  });

  it('lets a stale attempt commit neither metrics nor checkpoint', async () => {
    const runId = randomUUID();
    await open(runId);
    await runs.recordEpoch(runId, 1, metricsOf(0), checkpointOf(0, 1));
    await open(runId, 2);
    const late = runs.recordEpoch(runId, 1, metricsOf(1), checkpointOf(1, 1));
    await expect(late).rejects.toMatchObject({ code: 'stale_attempt' });
    expect(await runs.epochs(runId)).toEqual([metricsOf(0)]);
    expect((await runs.latestCheckpoint(runId))?.epoch).toBe(0);
  });

  it('cannot be taken over by another attempt between the check of the attempt and the commit', async () => {
    const runId = randomUUID();
    await open(runId);
    const order: string[] = [];
    let takeover = Promise.resolve();
    const slow: Database = {
      ...records.db,
      transaction: (work) =>
        records.db.transaction((tx) =>
          work({
            ...tx,
            query: async (sql, parameters) => {
              if (sql.includes('INSERT INTO checkpoints')) {
                takeover = open(runId, 2).then(() => void order.push('attempt 2 opened'));
                await new Promise((resolve) => setTimeout(resolve, 100));
                order.push('epoch written');
              }
              return tx.query(sql, parameters);
            },
          }),
        ),
    };
    await createRunStore(slow).recordEpoch(runId, 1, metricsOf(0), checkpointOf(0, 1));
    await takeover;
    expect(order).toEqual(['epoch written', 'attempt 2 opened']);
  });

  it('replaces an epoch that the same attempt repeats', async () => {
    const runId = randomUUID();
    await open(runId);
    await runs.recordEpoch(runId, 1, metricsOf(0), checkpointOf(0, 1));
    await runs.recordEpoch(runId, 1, { ...metricsOf(0), trainLoss: 9 }, checkpointOf(0, 1));
    expect(await runs.epochs(runId)).toEqual([{ ...metricsOf(0), trainLoss: 9 }]);
  });

  it('ends with its metrics when it is registered, and no later failure reverts that', async () => {
    const runId = randomUUID();
    await open(runId);
    const { version } = await register(runId);
    await runs.fail(runId, 'cancelled', { code: 'cancelled', message: 'too late' });
    expect(await runs.get(runId)).toMatchObject({ status: 'completed', bestEpoch: 4, metrics, error: null });
    const { endedAt } = (await runs.get(runId)) ?? {};
    expect((await register(runId)).version).toBe(version);
    expect((await runs.get(runId))?.endedAt).toBe(endedAt);
  });

  it('that was cancelled gets no version', async () => {
    const runId = randomUUID();
    await open(runId);
    await runs.fail(runId, 'cancelled', { code: 'cancelled', message: 'no longer wanted' });
    await expect(register(runId)).rejects.toMatchObject({ code: 'conflict' });
    expect(await records.db.query('SELECT FROM model_versions WHERE run_id = $1', [runId])).toEqual([]);
    expect((await runs.get(runId))?.status).toBe('cancelled');
  });

  it('that failed is not resumed by a late attempt', async () => {
    const runId = randomUUID();
    await open(runId);
    await runs.fail(runId, 'failed', { code: 'trainer_died', message: 'gone' });
    const stale = { code: 'stale_attempt' };
    await expect(open(runId)).rejects.toMatchObject(stale);
    await expect(runs.recordEpoch(runId, 1, metricsOf(0), checkpointOf(0, 1))).rejects.toMatchObject(stale);
    expect(await runs.get(runId)).toMatchObject({ status: 'failed', error: { code: 'trainer_died', message: 'gone' } });
  });

  it('lists the checkpoints before the last ones, and removes those whose objects are deleted', async () => {
    const runId = randomUUID();
    await open(runId);
    for (const epoch of [0, 1, 2, 10]) await runs.recordEpoch(runId, 1, metricsOf(epoch), checkpointOf(epoch, 1));
    const older = await runs.olderCheckpoints(runId, 1);
    expect(older).toEqual([2, 1, 0].map((epoch) => checkpointOf(epoch, 1).objectKey));
    await runs.forgetCheckpoints(runId, older);
    expect(await runs.olderCheckpoints(runId, 0)).toEqual([checkpointOf(10, 1).objectKey]);
    expect((await runs.latestCheckpoint(runId))?.epoch).toBe(10);
  });

  it('stores its artefacts by name', async () => {
    const runId = randomUUID();
    await open(runId);
    const artifact = { name: 'curves.svg', objectKey: 'runs/x/curves.svg', sha256: '1'.repeat(64), sizeBytes: 10 };
    await runs.addArtifact(runId, artifact);
    await runs.addArtifact(runId, { ...artifact, sizeBytes: 11 });
    expect(await runs.artifacts(runId)).toEqual([{ ...artifact, sizeBytes: 11 }]);
  });
});
