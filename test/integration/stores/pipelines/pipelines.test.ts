import { randomUUID } from 'node:crypto';
import { ingestionSteps, trainingChannel } from '../../../../contracts/names.js';
import { createPipelineStore, type PipelineStore } from '../../../../stores/pipelines/pipelines.js';
import { poll } from '../../../support/api-client.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

let records: TestDatabase;
let pipelines: PipelineStore;
beforeAll(async () => {
  records = await startTestDatabase();
  pipelines = createPipelineStore(records.db);
});
afterAll(() => records.stop());

async function open(
  changes: { workflowId?: string; workflow?: string; trigger?: string; modelName?: string | null } = {},
): Promise<string> {
  const runId = randomUUID();
  const workflowId = `w-${runId}`;
  await pipelines.open({
    runId,
    workflowId,
    workflow: 'ingestDataset',
    trigger: 'manual',
    modelName: null,
    dataset: 'flowers',
    steps: ingestionSteps,
    ...changes,
  });
  return runId;
}

describe('a pipeline run', () => {
  it('begins with all its steps waiting, in order', async () => {
    const runId = await open();
    const record = await pipelines.get(runId);
    expect(record).toMatchObject({ id: runId, status: 'running', trigger: 'manual', dataset: 'flowers', error: null });
    expect(record?.steps.map(({ name }) => name)).toEqual(ingestionSteps);
    expect(record?.steps.every(({ status, startedAt }) => status === 'pending' && startedAt === null)).toBe(true);
    expect(new Date(record?.startedAt ?? '').toISOString()).toBe(record?.startedAt);
  });

  it('is announced to the training workers if it trains', async () => {
    let announced = 0;
    const unsubscribe = await records.db.listen(trainingChannel, () => (announced += 1));
    await open();
    await open({ workflow: 'retrainingPipeline' });
    await poll(
      () => Promise.resolve(announced),
      (count) => count > 0,
    );
    expect(announced).toBe(1);
    await unsubscribe();
  });

  it('does not change when it is opened or entered again', async () => {
    const runId = await open();
    await pipelines.enterSteps(runId, [{ name: 'scan', status: 'running' }]);
    await pipelines.enterSteps(runId, [{ name: 'scan', status: 'completed', detail: '3 files' }]);
    const before = await pipelines.get(runId);
    await pipelines.open({
      runId,
      workflowId: before?.workflowId ?? '',
      workflow: 'ingestDataset',
      trigger: 'schedule',
      modelName: null,
      dataset: null,
      steps: ingestionSteps,
    });
    await pipelines.enterSteps(runId, [{ name: 'scan', status: 'running' }]);
    await pipelines.enterSteps(runId, [{ name: 'scan', status: 'completed', detail: '3 files' }]);
    expect(await pipelines.get(runId)).toEqual(before);
  });

  it('enters several states at once as it would one after another', async () => {
    const [atOnce, inTurn] = [await open(), await open()];
    const entries = [
      { name: 'resolve_source', status: 'running', detail: 'first' },
      { name: 'resolve_source', status: 'completed' },
      { name: 'scan', status: 'running', detail: 'old' },
      { name: 'scan', status: 'running', detail: null },
      { name: 'no_such_step', status: 'running' },
    ] as const;
    await pipelines.enterSteps(atOnce, entries);
    for (const entry of entries) await pipelines.enterSteps(inTurn, [entry]);
    const stepsOf = async (runId: string): Promise<unknown[] | undefined> =>
      (await pipelines.get(runId))?.steps.map(({ startedAt, endedAt, ...step }) => ({
        ...step,
        hasStarted: startedAt !== null,
        hasEnded: endedAt !== null,
      }));
    expect(await stepsOf(atOnce)).toEqual(await stepsOf(inTurn));
    expect(await stepsOf(atOnce)).toMatchObject([
      { name: 'resolve_source', status: 'completed', detail: 'first' },
      { name: 'scan', status: 'running', detail: null, hasEnded: false },
      { status: 'pending' },
      { status: 'pending' },
    ]);
  });

  it('enters the same states from many activities side by side', async () => {
    const runId = await open();
    const states = ingestionSteps.map((name) => ({ name, status: 'completed' }) as const);
    const writes = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? states : states.toReversed()));
    await Promise.all(writes.map((entries) => pipelines.enterSteps(runId, entries)));
    expect((await pipelines.get(runId))?.steps.every(({ status }) => status === 'completed')).toBe(true);
  });

  it('closes once, with the step that was running, and ignores later changes', async () => {
    const runId = await open();
    await pipelines.enterSteps(runId, [{ name: 'scan', status: 'running' }]);
    await pipelines.close(runId, { status: 'failed', error: { code: 'source_empty', message: 'nothing there' } });
    await pipelines.close(runId, { status: 'completed', result: { late: true } });
    await pipelines.enterSteps(runId, [{ name: 'commit_version', status: 'running' }]);
    const record = await pipelines.get(runId);
    expect(record).toMatchObject({
      status: 'failed',
      result: null,
      error: { code: 'source_empty', message: 'nothing there' },
    });
    expect(record?.steps.map(({ status }) => status)).toEqual(['pending', 'failed', 'pending', 'pending']);
  });

  it('stores that a step was skipped, and why', async () => {
    const runId = await open();
    await pipelines.enterSteps(runId, [{ name: 'scan', status: 'skipped', detail: 'nothing to do' }]);
    await pipelines.close(runId, { status: 'completed' });
    expect((await pipelines.get(runId))?.steps[1]).toMatchObject({ status: 'skipped', detail: 'nothing to do' });
  });

  it('stores its result', async () => {
    const runId = await open();
    await pipelines.close(runId, { status: 'completed', result: { version: 3, labels: ['a', 'b'] } });
    expect((await pipelines.get(runId))?.result).toEqual({ version: 3, labels: ['a', 'b'] });
  });

  it('is closed as cancelled when a later run of the same workflow finds it still open', async () => {
    const orphan = await open({ workflowId: 'retrain-orphan' });
    await pipelines.enterSteps(orphan, [{ name: 'scan', status: 'running' }]);
    await open({ workflowId: 'retrain-orphan' });
    const record = await pipelines.get(orphan);
    expect(record).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
    expect(record?.steps[1]?.status).toBe('cancelled');
  });

  it('is null for an unknown run', async () => {
    expect(await pipelines.get('nowhere')).toBeNull();
  });
});

describe('a pipeline that fails', () => {
  const error = { code: 'source_empty', message: 'nothing there' } as const;
  const notificationsOf = async (runId: string): Promise<unknown[]> =>
    records.db.query(`SELECT kind, payload FROM outbox WHERE key = 'pipeline-failed-' || $1`, [runId]);

  it('sends one notification with its step, its error, and the version still in Production', async () => {
    await records.db.query(
      `INSERT INTO models (name) VALUES ('lily');
       INSERT INTO model_versions (model_name, version, stage, run_id, architecture, labels, dataset, dataset_version,
         dataset_digest, bundle_key, bundle_sha256, size_bytes, evaluation, semantic_version)
       VALUES ('lily', 7, 'Production', 'x', 'cnn', '[]', 'flowers', 1, 'd', 'k', repeat('0', 64), 1, '{}', '1.0.0')`,
    );
    const runId = await open({ modelName: 'lily', workflowId: 'ingest-lily' });
    await pipelines.enterSteps(runId, [{ name: 'resolve_source', status: 'completed' }]);
    await pipelines.enterSteps(runId, [{ name: 'scan', status: 'failed', detail: 'nothing there' }]);
    for (let attempt = 0; attempt < 2; attempt += 1) await pipelines.close(runId, { status: 'failed', error });
    expect(await notificationsOf(runId)).toEqual([
      {
        kind: 'pipeline.failed',
        payload: {
          runId,
          workflowId: 'ingest-lily',
          workflow: 'ingestDataset',
          modelName: 'lily',
          dataset: 'flowers',
          step: 'scan',
          error,
          productionVersion: 7,
        },
      },
    ]);
  });

  it('sends a notification without a model or a step too', async () => {
    const runId = await open();
    await pipelines.close(runId, { status: 'failed', error });
    expect(await notificationsOf(runId)).toMatchObject([
      { payload: { step: null, modelName: null, productionVersion: null } },
    ]);
  });

  it('sends none if it is a child, was completed, or was cancelled', async () => {
    const parent = await open({ workflowId: 'retrain-parent' });
    const child = await open({ workflowId: `retrain-parent-${parent}-prepare_training_data-0` });
    await pipelines.close(child, { status: 'failed', error });
    expect(await notificationsOf(child)).toEqual([]);
    for (const status of ['completed', 'cancelled'] as const) {
      const runId = await open();
      await pipelines.close(runId, { status });
      expect(await notificationsOf(runId)).toEqual([]);
    }
  });
});

describe('the list of pipelines', () => {
  it('contains every run once, newest first, page by page, while others are added', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) ids.unshift(await open({ workflow: 'paged' }));
    const seen: string[] = [];
    let pageToken: string | null = null;
    do {
      const page = await pipelines.list({ limit: 3, workflow: 'paged', pageToken });
      expect(page.items.length).toBeLessThanOrEqual(3);
      seen.push(...page.items.map(({ id }) => id));
      pageToken = page.nextPageToken;
      await open({ workflow: 'paged' });
    } while (pageToken !== null);
    expect(seen).toEqual(ids);
  });

  it('filters by workflow, status and model', async () => {
    const runId = await open({ workflow: 'filtered', modelName: 'rose' });
    await open({ workflow: 'filtered', modelName: 'tulip' });
    await pipelines.close(runId, { status: 'cancelled' });
    const found = await pipelines.list({ limit: 10, workflow: 'filtered', status: 'cancelled', modelName: 'rose' });
    expect(found.items.map(({ id }) => id)).toEqual([runId]);
    expect(found.nextPageToken).toBeNull();
    expect((await pipelines.list({ limit: 10, workflow: 'filtered', status: 'failed' })).items).toEqual([]);
  });

  it('refuses an invalid page token', async () => {
    const page = pipelines.list({ limit: 10, pageToken: `1'; DROP TABLE pipelines; --` });
    await expect(page).rejects.toMatchObject({ code: 'bad_request' });
  });

  describe('of an ingestion', () => {
    const end = {
      status: 'completed',
      result: {
        dataset: 'flowers',
        version: 2,
        files: 20,
        newImages: 3,
        quarantined: 1,
        conflicts: 0,
        statistics: { images: 19 },
      },
    } as const;
    const told = async (runId: string): Promise<unknown> =>
      records.db.query(`SELECT kind, payload FROM outbox WHERE key = $1`, [`ingestion-completed-${runId}`]);

    it('that a person started tells its counts once', async () => {
      const runId = await open();
      await pipelines.close(runId, end);
      await pipelines.close(runId, end);
      const payload = { runId, dataset: 'flowers', version: 2, files: 20, newImages: 3, quarantined: 1, conflicts: 0 };
      expect(await told(runId)).toEqual([{ kind: 'ingestion.completed', payload }]);
    });

    it('that is part of a retraining, or of another trigger, tells nothing, and a failed one only its failure', async () => {
      const parent = await open({ workflow: 'retrainingPipeline', modelName: 'm' });
      const child = await open({ workflowId: `w-${parent}-${parent}-prepare_training_data-0` });
      await pipelines.close(child, end);
      const scheduled = await open({ trigger: 'first_run' });
      await pipelines.close(scheduled, end);
      const failed = await open();
      await pipelines.close(failed, { status: 'failed', error: { code: 'source_empty', message: 'nothing there' } });
      for (const runId of [child, scheduled, failed]) expect(await told(runId)).toEqual([]);
      expect(await records.db.query('SELECT kind FROM outbox WHERE key = $1', [`pipeline-failed-${failed}`])).toEqual([
        { kind: 'pipeline.failed' },
      ]);
    });
  });
});
