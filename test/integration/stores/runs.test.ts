import { randomUUID } from 'node:crypto';
import type { EpochMetrics, ModelMetrics } from '../../../contracts/training.js';
import type { Database } from '../../../stores/database.js';
import { createRunStore, type RunStore } from '../../../stores/runs.js';
import { commitImages } from '../../support/dataset-version.js';
import { evaluationOf, hyperparameters } from '../../support/figures.js';
import { startRecords, type TestRecords } from '../../support/records.js';

let records: TestRecords;
let runs: RunStore;
beforeAll(async () => {
  records = await startRecords();
  runs = createRunStore(records.db);
  await commitImages(records.db, 'flowers', { a: [1, 2, 3], b: [4, 5, 6] });
});
afterAll(() => records.stop());

function open(runId: string): Promise<{ attempt: number }> {
  return runs.open({
    runId,
    modelName: 'rose',
    dataset: 'flowers',
    datasetVersion: 1,
    hyperparameters,
    workflowId: 'train-rose',
    codeRevision: 'abc',
  });
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
  it('counts its attempts', async () => {
    const runId = randomUUID();
    expect(await open(runId)).toEqual({ attempt: 1 });
    expect(await open(runId)).toEqual({ attempt: 2 });
    expect(await runs.get(runId)).toMatchObject({ attempt: 2, status: 'running', hyperparameters, metrics: null });
  });

  it('gives every number of an epoch back exactly', async () => {
    const runId = randomUUID();
    await open(runId);
    for (const epoch of [0, 1, 2]) await runs.recordEpoch(runId, 1, metricsOf(epoch), checkpointOf(epoch, 1));
    expect(await runs.epochs(runId)).toEqual([0, 1, 2].map(metricsOf));
    const { objectKey, sha256 } = checkpointOf(2, 1);
    expect(await runs.latestCheckpoint(runId)).toEqual({ epoch: 2, objectKey, sha256 });
  });

  it('lets a stale attempt commit neither metrics nor checkpoint nor its end', async () => {
    const runId = randomUUID();
    await open(runId);
    await runs.recordEpoch(runId, 1, metricsOf(0), checkpointOf(0, 1));
    await open(runId);
    const stale = { code: 'stale_attempt' };
    await expect(runs.recordEpoch(runId, 1, metricsOf(1), checkpointOf(1, 1))).rejects.toMatchObject(stale);
    await expect(runs.finish(runId, 1, { weightsSha256: 'f'.repeat(64), bestEpoch: 0, metrics })).rejects.toMatchObject(
      stale,
    );
    expect(await runs.epochs(runId)).toEqual([metricsOf(0)]);
    expect((await runs.latestCheckpoint(runId))?.epoch).toBe(0);
    expect((await runs.get(runId))?.status).toBe('running');
  });

  it('lets no other attempt take the run over between the check of the attempt and the commit', async () => {
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
                takeover = open(runId).then(({ attempt }) => void order.push(`attempt ${String(attempt)} opened`));
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

  it('ends with its metrics, and no later failure takes that back', async () => {
    const runId = randomUUID();
    await open(runId);
    await runs.finish(runId, 1, { weightsSha256: 'f'.repeat(64), bestEpoch: 4, metrics });
    await runs.fail(runId, 'cancelled', { code: 'cancelled', message: 'too late' });
    expect(await runs.get(runId)).toMatchObject({ status: 'completed', bestEpoch: 4, metrics, error: null });
  });

  it('that failed is running again when it is taken up', async () => {
    const runId = randomUUID();
    await open(runId);
    await runs.fail(runId, 'failed', { code: 'trainer_died', message: 'gone' });
    expect(await runs.get(runId)).toMatchObject({ status: 'failed', error: { code: 'trainer_died', message: 'gone' } });
    await open(runId);
    expect(await runs.get(runId)).toMatchObject({ status: 'running', endedAt: null, error: null });
  });

  it('gives up all checkpoints but the last ones', async () => {
    const runId = randomUUID();
    await open(runId);
    for (const epoch of [0, 1, 2, 10]) await runs.recordEpoch(runId, 1, metricsOf(epoch), checkpointOf(epoch, 1));
    const taken = await runs.takeCheckpoints(runId, 1);
    expect(taken.sort()).toEqual([0, 1, 2].map((epoch) => checkpointOf(epoch, 1).objectKey));
    expect((await runs.latestCheckpoint(runId))?.epoch).toBe(10);
    expect(await runs.takeCheckpoints(runId, 0)).toEqual([checkpointOf(10, 1).objectKey]);
    expect(await runs.latestCheckpoint(runId)).toBeNull();
  });

  it('keeps its artifacts by name', async () => {
    const runId = randomUUID();
    await open(runId);
    const artifact = { name: 'curves.svg', objectKey: 'runs/x/curves.svg', sha256: '1'.repeat(64), sizeBytes: 10 };
    await runs.addArtifact(runId, artifact);
    await runs.addArtifact(runId, { ...artifact, sizeBytes: 11 });
    expect(await runs.artifacts(runId)).toEqual([{ ...artifact, sizeBytes: 11 }]);
  });
});
