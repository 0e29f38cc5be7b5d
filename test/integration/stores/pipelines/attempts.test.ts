import { randomUUID } from 'node:crypto';
import { createAttemptStore, type AttemptEntry, type AttemptStore } from '../../../../stores/pipelines/attempts.js';
import { createPipelineStore } from '../../../../stores/pipelines/pipelines.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

let records: TestDatabase;
let attempts: AttemptStore;
beforeAll(async () => {
  records = await startTestDatabase();
  attempts = createAttemptStore(records.db);
});
afterAll(() => records.stop());

async function openPipeline(workflowId: string): Promise<string> {
  const runId = randomUUID();
  const words = { workflow: 'retrainingPipeline', trigger: 'manual', modelName: null, dataset: null };
  await createPipelineStore(records.db).open({ ...words, runId, workflowId, steps: [] });
  return runId;
}

function entryOf(given: Partial<AttemptEntry> & Pick<AttemptEntry, 'workflowId' | 'runId'>): AttemptEntry {
  return {
    activityId: '1',
    attempt: 1,
    activityType: 'fitModel',
    taskQueue: 'training',
    worker: 'training-worker 7 on here',
    status: 'running',
    startedAt: new Date().toISOString(),
    endedAt: null,
    error: null,
    log: [],
    droppedLines: 0,
    ...given,
  };
}

async function shown(pipelineId: string): Promise<string[]> {
  const { items } = await attempts.list(pipelineId, { limit: 100 });
  return items.map(({ activityId, attempt, status }) => `${activityId}.${attempt} ${status}`);
}

describe('attempts', () => {
  it('are written when they begin and when they end, and do not change afterwards', async () => {
    const workflowId = `w-${randomUUID()}`;
    const runId = await openPipeline(workflowId);
    const begun = entryOf({ workflowId, runId });
    const error = { code: 'trainer_died', message: 'It was killed.\0 \ud800', retryable: true } as const;
    const log = ['{"level":"warn","message":"trainer said","line":"\\u0000"}', 'not json \\ud800'];
    const ended = {
      ...begun,
      status: 'failed',
      endedAt: new Date().toISOString(),
      error,
      log,
      droppedLines: 3,
    } as const;
    await attempts.write([begun]);
    expect(await shown(runId)).toEqual(['1.1 running']);
    await attempts.write([ended]);
    await attempts.write([begun]);
    await attempts.write([{ ...ended, status: 'completed', error: null }]);
    const { items } = await attempts.list(runId, { limit: 10 });
    expect(items).toEqual([
      { ...ended, error: { code: 'trainer_died', message: 'It was killed.\uFFFD \uFFFD', retryable: true } },
    ]);
  });

  it('without a reported end are lost once a later attempt was made, or the pipeline has ended', async () => {
    const workflowId = `w-${randomUUID()}`;
    const runId = await openPipeline(workflowId);
    await attempts.write([
      entryOf({ workflowId, runId, attempt: 1 }),
      entryOf({ workflowId, runId, attempt: 2 }),
      entryOf({ workflowId, runId, activityId: '2' }),
    ]);
    expect(await shown(runId)).toEqual(['1.1 lost', '1.2 running', '2.1 running']);
    await createPipelineStore(records.db).close(runId, { status: 'cancelled' });
    await records.db.query(`UPDATE pipelines SET ended_at = now() - interval '1 minute' WHERE run_id = $1`, [runId]);
    expect(await shown(runId)).toEqual(['1.1 lost', '1.2 lost', '2.1 lost']);
  });

  it('of a run include those of its children and of the Temporal runs that continued it', async () => {
    const workflowId = `w-${randomUUID()}`;
    const first = await openPipeline(workflowId);
    const others = { activityId: 'other' };
    await attempts.write([
      entryOf({ workflowId, runId: first, activityId: 'own' }),
      entryOf({ workflowId: `${workflowId}-${first}-train_new_model`, runId: 'child', activityId: 'child' }),
      entryOf({ workflowId: `${workflowId}-${first}-a-child-deeper`, runId: 'deeper', activityId: 'deeper' }),
      entryOf({ workflowId, runId: 'continued', activityId: 'continued' }),
      entryOf({ workflowId: `${workflowId}-other`, runId: 'x', ...others }),
      entryOf({ workflowId: `${workflowId}%`, runId: 'y', ...others }),
    ]);
    const second = await openPipeline(workflowId);
    await attempts.write([
      entryOf({ workflowId, runId: second, activityId: 'second' }),
      entryOf({ workflowId, runId: 'continued-second', activityId: 'continued-second' }),
    ]);
    expect(await shown(first)).toEqual(['own.1 running', 'child.1 running', 'deeper.1 running', 'continued.1 running']);
    expect(await shown(second)).toEqual(['second.1 running', 'continued-second.1 running']);
    expect(await shown('nowhere')).toEqual([]);
  });

  it('are listed page by page, oldest first, while others are added', async () => {
    const workflowId = `w-${randomUUID()}`;
    const runId = await openPipeline(workflowId);
    const add = (from: number, to: number): Promise<void> =>
      attempts.write(
        Array.from({ length: to - from }, (_, index) =>
          entryOf({ workflowId, runId, activityId: String(from + index) }),
        ),
      );
    await add(0, 5);
    const seen: string[] = [];
    let pageToken: string | null = null;
    do {
      const page = await attempts.list(runId, { limit: 2, pageToken });
      seen.push(...page.items.map(({ activityId }) => activityId));
      pageToken = page.nextPageToken;
      if (seen.length === 2) await add(5, 7);
    } while (pageToken !== null);
    expect(seen).toEqual(['0', '1', '2', '3', '4', '5', '6']);
  });

  it('are deleted when they are old, the oldest first', async () => {
    const workflowId = `w-${randomUUID()}`;
    const runId = await openPipeline(workflowId);
    const startedAt = '2020-01-01T00:00:00.000Z';
    const old = ['1', '2', '3'].map((activityId) => entryOf({ workflowId, runId, activityId, startedAt }));
    await attempts.write([...old, entryOf({ workflowId, runId, activityId: 'new' })]);
    expect(await attempts.removeBefore(new Date('2021-01-01'), 2)).toBe(2);
    expect(await shown(runId)).toEqual(['3.1 running', 'new.1 running']);
    expect(await attempts.removeBefore(new Date('2021-01-01'), 2)).toBe(1);
  });
});
