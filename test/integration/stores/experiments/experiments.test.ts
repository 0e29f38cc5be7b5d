import type { Actor } from '../../../../contracts/audit/audit.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { createExperimentStore, type ExperimentStore } from '../../../../stores/experiments/experiments.js';
import { createRunDetailStore, type RunDetailStore } from '../../../../stores/experiments/run-details.js';
import { createRunStore, type NewRun, type RunStore } from '../../../../stores/experiments/runs.js';
import { commitImages } from '../../../support/dataset-version.js';
import { hyperparameters } from '../../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';
import { findRuns, makeRun as writeRun, type Made } from '../../../support/runs.js';

const by: Actor = { name: 'ada', via: 'rest', from: '127.0.0.1', requestId: 'r-1' };

let records: TestDatabase;
let runs: RunStore;
let experiments: ExperimentStore;
let details: RunDetailStore;
beforeAll(async () => {
  records = await startTestDatabase();
  runs = createRunStore(records.db);
  experiments = createExperimentStore(records.db);
  details = createRunDetailStore(records.db);
  await commitImages(records.db, 'flowers', { a: [1, 2, 3], b: [4, 5, 6] });
});
afterAll(() => records.stop());

const makeRun = (run: Partial<NewRun>, made?: Made): Promise<string> => writeRun(records.db, run, made);
const find = (experiment: string, filter: string | null, order?: string): Promise<string[]> =>
  findRuns(records.db, experiment, filter, order);

describe('an experiment', () => {
  it('named after the model is created with its first run', async () => {
    expect(await experiments.get('tulip')).toBeNull();
    const runId = await makeRun({ modelName: 'tulip' });
    await makeRun({ modelName: 'tulip', runId });
    expect(await experiments.get('tulip')).toMatchObject({ name: 'tulip', description: null, tags: {}, runs: 1 });
    expect(await runs.get(runId)).toMatchObject({
      kind: 'training',
      name: `efficientnet-lite0-${runId.slice(0, 8)}`,
      tags: {},
      parentRunId: null,
    });
  });

  it('is created once and changed field by field, with an audit entry for each change', async () => {
    await experiments.create({ name: 'made', description: 'why', tags: { a: '1' } }, by);
    const again = experiments.create({ name: 'made', description: null, tags: {} }, by);
    await expect(again).rejects.toMatchObject({ code: 'conflict' });
    expect(await experiments.update('made', { tags: { a: null, b: '2' } }, by)).toMatchObject({
      description: 'why',
      tags: { b: '2' },
    });
    await expect(experiments.update('nowhere', {}, by)).rejects.toMatchObject({ code: 'not_found' });
    const { items } = await createAuditStore(records.db).list({ limit: 10, subject: 'experiments/made' });
    expect(items.map(({ action, actor, before, after }) => ({ action, actor, before, after }))).toEqual([
      {
        action: 'experiment.update',
        actor: 'ada',
        before: { description: 'why', tags: { a: '1' } },
        after: { description: 'why', tags: { b: '2' } },
      },
      { action: 'experiment.create', actor: 'ada', before: null, after: { description: 'why', tags: { a: '1' } } },
    ]);
  });

  it('contains the runs that name it, of every kind, newest first', async () => {
    const search = await makeRun({ experiment: 'mixed', name: 'search' });
    await makeRun({ experiment: 'mixed', name: 'trial', kind: 'trial', parentRunId: search, tags: { rung: '1' } });
    await makeRun({ experiment: 'mixed', name: 'import', kind: 'import', hyperparameters: null });
    await expect(makeRun({ experiment: 'mixed', hyperparameters: null })).rejects.toThrow();
    const { items } = await experiments.searchRuns({ experiment: 'mixed', filter: null, order: [], limit: 10 });
    expect(items.map(({ name, kind, experiment }) => [name, kind, experiment])).toEqual([
      ['import', 'import', 'mixed'],
      ['trial', 'trial', 'mixed'],
      ['search', 'training', 'mixed'],
    ]);
    expect(await find('mixed', `parent_run_id = '${search}' and tags.rung = '1'`)).toEqual(['trial']);
    const first = await experiments.list({ limit: 1 });
    expect(first.items.map(({ name, runs: count }) => [name, count])).toEqual([['mixed', 3]]);
    const rest = await experiments.list({ limit: 100, pageToken: first.nextPageToken });
    expect(rest.items.map(({ name }) => name)).not.toContain('mixed');
  });
});

describe('a run', () => {
  it('that failed or was cancelled loses no data', async () => {
    for (const status of ['failed', 'cancelled'] as const) {
      const runId = await makeRun({ tags: { why: 'test' } }, { losses: [0.7, 0.4] });
      const artifact = { name: 'curves.svg', objectKey: 'runs/x/curves.svg', sha256: '1'.repeat(64), sizeBytes: 10 };
      await runs.addArtifact(runId, artifact);
      await runs.fail(runId, status, { code: 'trainer_died', message: 'It was killed.' });
      expect(await details.detail(runId)).toMatchObject({
        status,
        error: { code: 'trainer_died', message: 'It was killed.' },
        hyperparameters,
        tags: { why: 'test' },
        finalMetrics: { validation_loss: 0.4, train_loss: 1 },
        modelVersion: null,
      });
      expect(await runs.epochs(runId)).toHaveLength(2);
      expect(await runs.artifacts(runId)).toEqual([artifact]);
      expect(await details.metricNames([runId])).toContain('validation_loss');
    }
  });

  it('shows its metrics per step, a page of metrics by name', async () => {
    const runId = await makeRun({}, { losses: [3, 2, 1] });
    const first = await details.curves(runId, { limit: 2 });
    const second = await details.curves(runId, { limit: 10, pageToken: first.nextPageToken });
    expect([...first.items, ...second.items].map(({ name }) => name)).toEqual([
      'duration_ms',
      'train_accuracy',
      'train_loss',
      'validation_accuracy',
      'validation_loss',
    ]);
    expect(second.nextPageToken).toBeNull();
    const part = await details.curves(runId, { name: 'validation_loss', fromStep: 1, limit: 10 });
    expect(part.items).toMatchObject([
      {
        points: [
          { step: 1, value: 2 },
          { step: 2, value: 1 },
        ],
      },
    ]);
    expect((await details.curves(runId, { name: 'validationLoss', limit: 10 })).items).toEqual([]);
  });

  it('takes a new name and tags, can be deleted when no version came from it, and both are audited', async () => {
    const runId = await makeRun({ name: 'first', experiment: 'tidied', tags: { a: '1' } });
    await details.update(runId, { name: 'second' }, by);
    await details.update(runId, { tags: { a: null, b: '2' } }, by);
    await expect(details.remove(runId, by)).rejects.toMatchObject({ code: 'conflict' });
    await runs.fail(runId, 'failed', { code: 'internal', message: 'x' });
    expect(await find('tidied', null)).toEqual(['second']);
    await details.remove(runId, by);
    expect(await find('tidied', null)).toEqual([]);
    expect(await details.detail(runId)).toBeNull();
    expect((await experiments.get('tidied'))?.runs).toBe(0);
    await expect(details.remove(runId, by)).rejects.toMatchObject({ code: 'not_found' });
    await expect(details.update(runId, { name: 'x' }, by)).rejects.toMatchObject({ code: 'not_found' });
    const { items } = await createAuditStore(records.db).list({ limit: 10, subject: `runs/${runId}` });
    expect(items.map(({ action, before, after }) => ({ action, before, after }))).toEqual([
      { action: 'run.delete', before: { name: 'second', tags: { b: '2' }, status: 'failed' }, after: null },
      {
        action: 'run.update',
        before: { name: 'second', tags: { a: '1' } },
        after: { name: 'second', tags: { b: '2' } },
      },
      {
        action: 'run.update',
        before: { name: 'first', tags: { a: '1' } },
        after: { name: 'second', tags: { a: '1' } },
      },
    ]);
  });

  it('cannot be deleted while it has a trial', async () => {
    const search = await makeRun({}, { accuracy: 0.9 });
    const trial = await makeRun({ kind: 'trial', parentRunId: search }, { accuracy: 0.8 });
    await expect(details.remove(search, by)).rejects.toMatchObject({ code: 'referenced' });
    await details.remove(trial, by);
    await details.remove(search, by);
  });
});
