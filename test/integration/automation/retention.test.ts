import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createRetentionActivities, type RemovalOrder } from '../../../activities/retention/activities.js';
import type { ExpiryStep } from '../../../contracts/names.js';
import { createAdvisoryLocks } from '../../../stores/postgres/advisory-lock.js';
import { createObjectReferences } from '../../../stores/storage/object-references.js';
import { createAttemptStore } from '../../../stores/pipelines/attempts.js';
import { createAuditStore } from '../../../stores/audit/audit.js';
import { createBatchPredictionStore } from '../../../stores/batch-predictions/batch-predictions.js';
import type { ObjectStore } from '../../../stores/objects/object-store.js';
import { batchResultKey, checkpointKey, predictionInputKey, uploadKey } from '../../../stores/objects/object-keys.js';
import { createPolicyStore } from '../../../stores/promotion/policies.js';
import { createPredictionInputStore } from '../../../stores/predictions/prediction-inputs.js';
import { createPredictionStore } from '../../../stores/predictions/predictions.js';
import { createRegistryStore, type RegistryStore } from '../../../stores/registry/registry.js';
import { createRetentionStore } from '../../../stores/pipelines/retention.js';
import { createRunStore } from '../../../stores/experiments/runs.js';
import { createUploadStore } from '../../../stores/datasets/uploads.js';
import { startBucket, type TestBucket } from '../../support/bucket.js';
import { unfenced } from '../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.js';
import { newVersionOf } from '../../support/registry-records.js';

const by = { name: 'retention', via: 'schedule', from: 'w', requestId: null } as const;

describe('the steps of retention', () => {
  let records: TestDatabase;
  let bucket: TestBucket;
  let objects: ObjectStore;
  let registry: RegistryStore;
  let remove: (step: ExpiryStep, dryRun?: boolean) => Promise<number>;
  let note: (removed: Record<string, number>) => Promise<void>;

  beforeAll(async () => {
    [records, bucket] = await Promise.all([startTestDatabase(), startBucket()]);
    ({ objects } = bucket);
    const { db } = records;
    registry = createRegistryStore(db);
    const { removeExpired, noteRetention } = createRetentionActivities({
      attempts: createAttemptStore(db),
      audit: createAuditStore(db),
      batchPredictions: createBatchPredictionStore(db),
      inputs: createPredictionInputStore(db),
      locks: createAdvisoryLocks(db),
      objects,
      policies: createPolicyStore(db),
      predictions: createPredictionStore(db),
      references: createObjectReferences(db),
      registry,
      retention: createRetentionStore(db),
      runs: createRunStore(db),
      uploads: createUploadStore(db),
    });
    const order = (step: ExpiryStep, dryRun: boolean): RemovalOrder => ({ step, dryRun, by });
    note = (removed) => noteRetention({ by, result: { dryRun: false, removed } });
    remove = (step, dryRun = false) => new MockActivityEnvironment().run(removeExpired, order(step, dryRun));
  });
  afterAll(async () => {
    await Promise.all([records.stop(), bucket.stop()]);
  });

  /** Counts first, which changes nothing; then removes as many; then finds nothing more. */
  const expectRemoved = async (step: ExpiryStep, count: number): Promise<void> => {
    expect(await remove(step, true)).toBe(count);
    expect(await remove(step, true)).toBe(count);
    expect(await remove(step)).toBe(count);
    expect(await remove(step)).toBe(0);
  };
  const count = async (from: string): Promise<number> => (await records.db.query(`SELECT FROM ${from}`)).length;

  it('keep the newest and the referenced versions, and delete the others with their bundles', async () => {
    for (let version = 1; version <= 13; version += 1) {
      const { bundleKey } = await registry.register(newVersionOf('kept', { bundleKey: `models/kept/${version}` }));
      await objects.put(`${bundleKey}/model.onnx`, new Uint8Array(3));
    }
    await registry.promote({ modelName: 'kept', version: 2, idempotencyKey: 'k', reason: 'test', ...unfenced });
    await expectRemoved('retire_model_versions', 2);
    const left = await registry.list('kept', { limit: 50 });
    expect(left.items.map(({ version }) => version)).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 2]);
    expect(await objects.head('models/kept/1/model.onnx')).toBeNull();
    expect(await objects.head('models/kept/2/model.onnx')).not.toBeNull();
    const { items } = await createAuditStore(records.db).list({ limit: 10, action: 'version.delete' });
    expect(items.map(({ subject, actor }) => [subject, actor])).toEqual([
      ['models/kept/versions/3', 'retention'],
      ['models/kept/versions/1', 'retention'],
    ]);
  });

  it('remove predictions that are older than the policy of their model allows', async () => {
    const policies = createPolicyStore(records.db);
    const policy = await policies.get('kept');
    await policies.set('kept', { ...policy, retention: { ...policy.retention, predictionDays: 10 } }, by);
    await records.db.query(
      `INSERT INTO predictions (id, created_at, model_name, version, generation, replica, bundle_sha256, predicted, confidence,
         probabilities, latency_ms, route)
       SELECT gen_random_uuid(), now() - n * interval '1 day', 'kept', 2, 1, 'r', 'b', 'grass', 1, '{}', 1, 'predict'
       FROM generate_series(0, 19) n`,
    );
    await expectRemoved('remove_predictions', 10);
    expect(await count('predictions')).toBe(10);
  });

  it('remove batch predictions with their results, at the same age as predictions', async () => {
    const jobs = createBatchPredictionStore(records.db);
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    const order = { modelName: 'kept', version: 2, labels: ['grass'], targetRisk: 1, formats: ['csv' as const] };
    const source = { kind: 'prefix' as const, prefix: 'incoming/' };
    for (const id of ids) {
      await jobs.open({ id, workflowId: id, request: {}, order: { ...order, source }, by });
      await objects.put(batchResultKey(id, 'csv'), new Uint8Array(3));
    }
    const [old = '', running = '', fresh = ''] = ids;
    for (const id of [old, fresh]) await jobs.close(id, { status: 'completed', error: null });
    await jobs.begin(running, 'a run');
    await records.db.query(
      `UPDATE batch_predictions SET created_at = now() - interval '11 days',
         ended_at = CASE WHEN id = $1 THEN now() - interval '11 days' ELSE ended_at END`,
      [old],
    );
    await expectRemoved('remove_predictions', 1);
    const left = await Promise.all(ids.map((id) => objects.head(batchResultKey(id, 'csv'))));
    expect(left.map((object) => object !== null)).toEqual([false, true, true]);
    await expect(jobs.get(old)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('remove expired captured images with their objects, except those that a dataset needs', async () => {
    const keys: string[] = [];
    for (const expires of [`now() - interval '1 second'`, `now() + interval '1 day'`, 'NULL']) {
      const id = randomUUID();
      const key = predictionInputKey('kept', new Date(), id);
      await objects.put(key, new Uint8Array(3));
      await records.db.query(
        `INSERT INTO prediction_inputs (prediction_id, created_at, model_name, object_key, image_sha256, content_sha256,
           size_bytes, content_type, expires_at)
         VALUES ($1, now(), 'kept', $2, repeat('a', 64), repeat('b', 64), 3, 'image/png', ${expires})`,
        [id, key],
      );
      keys.push(key);
    }
    await expectRemoved('remove_predictions', 1);
    const heads = await Promise.all(keys.map((key) => objects.head(key)));
    expect(heads.map((head) => head !== null)).toEqual([false, true, true]);
  });

  it('remove messages that were sent long ago, and no waiting ones', async () => {
    await records.db.query(
      `INSERT INTO outbox (key, kind, payload, done_at, created_at) VALUES
         ('old', 'test', '{}', now() - interval '31 days', now() - interval '40 days'),
         ('new', 'test', '{}', now(), now()), ('waiting', 'test', '{}', NULL, now() - interval '40 days')`,
    );
    await expectRemoved('remove_messages', 1);
    expect(await count(`outbox WHERE key IN ('new', 'waiting')`)).toBe(2);
  });

  it('remove checkpoints of ended and of unknown runs, and none of a running one', async () => {
    await dataset(records);
    const [ended, running, unknown] = [randomUUID(), randomUUID(), randomUUID()];
    await run(records, ended, `'failed', now() - interval '2 hours'`);
    await run(records, running, `'running', NULL`);
    for (const runId of [ended, running, unknown]) await objects.put(checkpointKey(runId, 1, 1), new Uint8Array(3));
    await expectRemoved('remove_checkpoints', 2);
    expect(await objects.head(checkpointKey(ended, 1, 1))).toBeNull();
    expect(await objects.head(checkpointKey(running, 1, 1))).not.toBeNull();
    expect(await count('checkpoints')).toBe(1);
  });

  it('remove files of past ingestions, and none of the current members of a source', async () => {
    for (const id of ['former', 'current']) await ingestion(records, id, `'committed', now() - interval '31 days'`);
    await ingestion(records, 'young', `'abandoned', now() - interval '29 days'`);
    await ingestion(records, 'going', `'running', NULL`);
    await records.db.query(
      `INSERT INTO dataset_sources (dataset, kind, locator, is_default, current_ingestion_id)
       VALUES ('flowers', 'folder', '/current', false, 'current')`,
    );
    await expectRemoved('remove_ingestion_files', 1);
    expect(await count('ingestion_files')).toBe(3);
  });

  /** An upload of so many hours ago with a file, as the key of that. */
  async function upload(dataset: string, hours: number, id = randomUUID()): Promise<string> {
    await records.db.query(
      `INSERT INTO uploads (id, dataset, label, created_at) VALUES ($1, $2, 'grass', now() - $3 * interval '1 hour')`,
      [id, dataset, hours],
    );
    await objects.put(uploadKey(id, 0), new Uint8Array(3));
    return uploadKey(id, 0);
  }

  it('remove uploads that no run uses', async () => {
    const id = randomUUID();
    const [left, ingested] = [await upload('flowers', 48), await upload('flowers', 48, id)];
    await ingestion(records, 'of-upload', `'running', NULL`, id);
    await expectRemoved('remove_uploads', 1);
    expect([await objects.head(left), (await objects.head(ingested)) !== null]).toEqual([null, true]);
  });

  it('keep the uploaded files that an ingestion refused, for a month', async () => {
    const id = randomUUID();
    const refused = await upload('flowers', 48, id);
    await records.db.query(`INSERT INTO upload_files VALUES ($1, 0, 'a.png', $2, 3)`, [id, refused]);
    await ingestion(records, 'refusing', `'abandoned', now()`, id);
    await records.db
      .query(`UPDATE ingestion_files SET path = '000000-a.png', outcome = 'quarantined', reason = 'truncated'
      WHERE ingestion_id = 'refusing'`);
    await expectRemoved('remove_uploads', 1);
    expect(await objects.head(refused)).not.toBeNull();
    await records.db.query(`UPDATE uploads SET discarded_at = now() - interval '31 days' WHERE id = $1`, [id]);
    await expectRemoved('remove_uploads', 1);
    expect(await objects.head(refused)).toBeNull();
  });

  it('keep an upload whose run still waits for a worker, and no other', async () => {
    const [waiting, later] = [await upload('tulips', 49), await upload('tulips', 47)];
    await records.db.query(
      `INSERT INTO pipelines (run_id, workflow_id, workflow, trigger, dataset, started_at)
       VALUES ('import', 'import-tulips', 'importModel', 'manual', 'tulips', now() - interval '48 hours')`,
    );
    await expectRemoved('remove_uploads', 1);
    expect(await objects.head(waiting)).not.toBeNull();
    expect(await objects.head(later)).toBeNull();
    await records.db.query(`UPDATE pipelines SET status = 'failed', ended_at = now() WHERE run_id = 'import'`);
    await expectRemoved('remove_uploads', 1);
    expect(await objects.head(waiting)).toBeNull();
  });

  it('are in the audit log with the numbers of removed items', async () => {
    await note({ remove_messages: 4 });
    const { items } = await createAuditStore(records.db).list({ limit: 5, action: 'retention.apply' });
    expect(items).toMatchObject([{ actor: 'retention', via: 'schedule', source: 'w', after: { remove_messages: 4 } }]);
  });

  it('remove old attempts, many at a time', async () => {
    await records.db.query(
      `INSERT INTO activity_attempts (workflow_id, run_id, activity_id, attempt, activity_type, task_queue, worker, status, started_at)
       SELECT 'w', 'r', n::text, 1, 't', 'q', 'x', 'completed', now() - CASE WHEN n > 2500 THEN 0 ELSE 31 END * interval '1 day'
       FROM generate_series(1, 2600) n`,
    );
    await expectRemoved('remove_attempts', 2_500);
    expect(await count('activity_attempts')).toBe(100);
  });
});

async function dataset({ db }: TestDatabase): Promise<void> {
  await db.query(`INSERT INTO datasets (name) VALUES ('flowers')`);
  await ingestion({ db }, 'first', `'committed', now()`);
  await db.query(
    `INSERT INTO dataset_versions (dataset, version, digest, dvc_md5, statistics, sources, ingestion_id)
     VALUES ('flowers', 1, 'd', 'm', '{}', '[]', 'first')`,
  );
  await db.query('DELETE FROM ingestion_files');
  await db.query(`INSERT INTO experiments (name) VALUES ('m')`);
}

async function run({ db }: TestDatabase, runId: string, status: string): Promise<void> {
  await db.query(
    `INSERT INTO runs (run_id, model_name, dataset, dataset_version, hyperparameters, workflow_id, code_revision,
       experiment_id, name, status, ended_at)
     SELECT $1, 'm', 'flowers', 1, '{}', 'w', 'c', id, 'n', ${status} FROM experiments WHERE name = 'm'`,
    [runId],
  );
  await db.query(
    `INSERT INTO checkpoints (run_id, epoch, attempt, object_key, sha256, size_bytes) VALUES ($1, 1, 1, $2, repeat('0', 64), 3)`,
    [runId, checkpointKey(runId, 1, 1)],
  );
}

async function ingestion(
  { db }: Pick<TestDatabase, 'db'>,
  id: string,
  status: string,
  locator = `/${id}`,
): Promise<void> {
  await db.query(
    `INSERT INTO ingestions (id, dataset, kind, locator, is_default, status, ended_at)
     VALUES ($1, 'flowers', CASE WHEN starts_with($2, '/') THEN 'folder' ELSE 'upload' END, $2, false, ${status})`,
    [id, locator],
  );
  await db.query(`INSERT INTO ingestion_files (ingestion_id, path) VALUES ($1, 'a.png')`, [id]);
}
