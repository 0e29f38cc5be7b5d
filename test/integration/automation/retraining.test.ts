import type { z } from 'zod';
import {
  decisionViewOfRetrainingSchema,
  retrainingCheckSchema,
  triggeredRetrainingSchema,
} from '../../../contracts/retraining/http-retraining.js';
import { scheduleViewSchema } from '../../../contracts/retraining/http-schedules.js';
import { pageOf } from '../../../contracts/http/page.js';
import { problemSchema } from '../../../contracts/http/problem.js';
import { createPipelineStore } from '../../../stores/pipelines/pipelines.js';
import { createAuditStore } from '../../../stores/audit/audit.js';
import { poll } from '../../support/api-client.js';
import { createRequests } from '../../support/requests.js';
import { unfenced } from '../../support/measurements.js';
import { newVersionOf } from '../../support/registry-records.js';
import { problemOf } from '../../support/served-api.js';
import { startAutomationFixture, type AutomationFixture } from '../../support/automation-fixture.js';

let fixture: AutomationFixture;
beforeAll(async () => {
  fixture = await startAutomationFixture();
  await fixture.addDataset('dandelion_grass', 80);
});
afterAll(() => fixture.stop());

const { answer, problem, ask } = createRequests(() => fixture.served.url);
const path = '/api/v1/mlops/retraining';
const historySchema = pageOf(decisionViewOfRetrainingSchema);
const history = (model: string): Promise<z.output<typeof historySchema>> =>
  answer(historySchema, `${path}/history?model=${model}`);

async function trigger(
  model: string,
  body: object = {},
  headers: Record<string, string> = {},
): Promise<z.output<typeof triggeredRetrainingSchema>> {
  const response = await fetch(`${fixture.served.url}${path}/trigger/${model}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(202);
  const accepted = triggeredRetrainingSchema.parse(await response.json());
  expect(response.headers.get('location')).toBe(`/api/v1/pipelines/${accepted.run_id}`);
  return accepted;
}

async function knownModel(name: string): Promise<string> {
  await fixture.served.api.database.query('INSERT INTO models (name) VALUES ($1)', [name]);
  return name;
}

describe('a check', () => {
  it('returns the decision with every value and threshold, and writes nothing', async () => {
    const body = { model_name: 'dandelion_grass_classifier' };
    const check = await answer(retrainingCheckSchema, `${path}/check`, { method: 'POST', body });
    expect(check).toMatchObject({
      decision: 'retrain',
      should_retrain: true,
      dataset: 'dandelion_grass',
      metrics: { new_images: 80, new_share: 1, production_version: null },
    });
    expect(check.reasons.find(({ check: name }) => name === 'new_images')).toMatchObject({
      fired: true,
      figure: 80,
      threshold: 50,
    });
    expect((await history('dandelion_grass_classifier')).items).toEqual([]);
  });

  it('answers 404 for an unknown model', async () => {
    const asked = { method: 'POST', body: { model_name: 'unheard_of' } };
    expect(await problem(`${path}/check`, asked)).toMatchObject({ status: 404, code: 'not_found' });
    expect(await problem(`${path}/trigger/unheard_of`, { method: 'POST', body: {} })).toMatchObject({ status: 404 });
    expect(
      await problem(`${path}/schedule`, { method: 'POST', body: { model_name: 'unheard_of', every_days: 7 } }),
    ).toMatchObject({ status: 404 });
  });
});

describe('a check of a model in Production', () => {
  it('shows labelled predictions, images that are new to it, and its hyperparameters', async () => {
    const { registry, api } = fixture.served;
    await api.database
      .query(`INSERT INTO dataset_versions (dataset, version, digest, dvc_md5, statistics, sources, ingestion_id)
      SELECT dataset, 2, 'd2', dvc_md5, statistics, sources, ingestion_id FROM dataset_versions WHERE dataset = 'dandelion_grass'`);
    await api.database.query(`INSERT INTO dataset_examples (dataset, version, sha256, label, side)
      SELECT dataset, 2, sha256, label, side FROM dataset_examples WHERE dataset = 'dandelion_grass' AND sha256 > lpad('20', 64, '0')`);
    const { version } = await registry.register(
      newVersionOf('served', { dataset: 'dandelion_grass', datasetVersion: 2 }),
    );
    await registry.promote({ modelName: 'served', version, idempotencyKey: 'served', reason: 'test', ...unfenced });
    await api.database.query(
      `INSERT INTO feedback (prediction_id, prediction_created_at, model_name, version, predicted, label, actor, contradicts)
       SELECT gen_random_uuid(), now(), 'served', $1, 'grass', CASE WHEN n > 10 THEN 'grass' ELSE 'dandelion' END, 'ada', false
       FROM generate_series(1, 40) n`,
      [version],
    );
    const asked = { method: 'POST', body: { model_name: 'served' } };
    const check = await answer(retrainingCheckSchema, `${path}/check`, asked);
    expect(check).toMatchObject({
      decision: 'retrain',
      metrics: {
        production_version: '1',
        test_accuracy: 0.9,
        production_accuracy: 0.75,
        labelled: 40,
        new_images: 20,
        new_share: 0.25,
      },
    });
    expect(check.reasons.flatMap(({ check: name, fired }) => (fired ? [name] : []))).toEqual([
      'accuracy_drop',
      'new_share',
    ]);
  });
});

describe('a manual trigger', () => {
  it('starts a run with the requested settings, stores the reason, and writes one audit row', async () => {
    const model = await knownModel('by_hand');
    const accepted = await trigger(model, { hyperparameters: { epochs: 3 } }, { 'x-actor': 'ada' });
    expect(accepted).toMatchObject({ workflow_id: 'retrain-by_hand', joined: false });
    expect((await history(model)).items).toMatchObject([
      {
        id: accepted.decision_id,
        kind: 'manual',
        requested_by: 'ada',
        decision: 'retrain',
        run: { run_id: accepted.run_id, joined: false, status: 'running', outcome: null },
      },
    ]);
    const audit = createAuditStore(fixture.served.api.database);
    const { items } = await audit.list({ limit: 10, subject: `models/${model}/retraining` });
    expect(items).toMatchObject([{ action: 'retraining.trigger', actor: 'ada', via: 'rest' }]);
  });

  it('joins the running one, and returns the same run for a repeated request', async () => {
    const model = await knownModel('twice');
    const first = await trigger(model, {}, { 'idempotency-key': 'one' });
    const repeated = await trigger(model, {}, { 'idempotency-key': 'one' });
    const second = await trigger(model, {});
    expect(repeated).toMatchObject({ run_id: first.run_id, decision_id: first.decision_id, joined: true });
    expect(second).toMatchObject({ run_id: first.run_id, joined: true });
    expect((await history(model)).items.map(({ decision }) => decision)).toEqual(['retrain', 'retrain']);
  });

  it('answers 409 that names the running run when its inputs differ, and leaves that run alone', async () => {
    const model = await knownModel('different');
    await fixture.addDataset('other_flowers', 1);
    const running = await trigger(model, { hyperparameters: { epochs: 3 } });
    for (const body of [{ dataset: 'other_flowers', hyperparameters: { epochs: 3 } }, {}]) {
      const refused = await problem(`${path}/trigger/${model}`, { method: 'POST', body });
      expect(refused).toMatchObject({ status: 409, code: 'run_in_progress' });
      expect(refused.detail).toContain(
        `Run ${running.run_id} of retrain-${model} is in progress on dataset dandelion_grass`,
      );
    }
    const body = { model_name: model, dataset: 'other_flowers', trigger: 'manual' };
    const pipeline = await problem('/api/v1/pipelines/retraining', { method: 'POST', body });
    expect(pipeline).toMatchObject({ status: 409, code: 'run_in_progress' });
    expect(pipeline.detail).toContain('this request asks for dataset other_flowers');
    expect(await trigger(model, { hyperparameters: { epochs: 3 } })).toMatchObject({ run_id: running.run_id });
  });

  it('rejects an idempotency key that is too long', async () => {
    const response = await fetch(`${fixture.served.url}${path}/trigger/${await knownModel('keyed')}`, {
      method: 'POST',
      headers: { 'Idempotency-Key': 'k'.repeat(201), 'Content-Type': 'application/json' },
      body: '{}',
    });
    expect(await problemOf(response)).toEqual({ status: 400, code: 'bad_request' });
    expect((await history('keyed')).items).toEqual([]);
  });

  it('answers 409 with the reason when something holds it back and it is not forced', async () => {
    const model = await knownModel('unforced');
    await trigger(model);
    const refused = await problem(`${path}/trigger/${model}`, { method: 'POST', body: { force: false } });
    expect(refused).toMatchObject({ status: 409, code: 'conflict' });
    expect(refused.detail).toMatch(/^Skipped: run .* is in progress\. Send force: true/);
    const skipped = 'mlops_retraining_skipped_total{reason="already_running"} 1';
    const figures = await poll(
      async () => (await ask('/metrics')).text(),
      (text) => text.includes(skipped),
    );
    expect(figures).toContain('mlops_retraining_skipped_total{reason="cool_down"} 0');
    expect(figures).toContain('retraining_runs_total{outcome="promoted"} 0');
  });
});

describe('the schedule of a model', () => {
  const set = (body: object) => answer(scheduleViewSchema, `${path}/schedule`, { method: 'POST', body });

  it('is set, and resumed if requested, also for a model that had none', async () => {
    const model = await knownModel('scheduled');
    expect(
      await set({ model_name: model, every_days: 2, hour_window: { from: 1, to: 3 }, time_zone: 'Asia/Tokyo' }),
    ).toMatchObject({
      id: `mlops_retraining_pipeline-${model}`,
      paused: true,
      schedule: 'every 2 days between 01:00 and 03:00, Asia/Tokyo',
    });
    expect(await set({ model_name: model, interval_seconds: 86_400, paused: false })).toMatchObject({ paused: false });
    expect(await set({ model_name: model, paused: true })).toMatchObject({ paused: true });
    const audit = createAuditStore(fixture.served.api.database);
    const { items } = await audit.list({ limit: 1, subject: `schedules/mlops_retraining_pipeline-${model}` });
    expect(items).toMatchObject([
      { action: 'schedule.update', actor: 'ada', before: { paused: false }, after: { paused: true } },
    ]);
  });

  it('rejects an interval of 0 seconds and an unknown time zone', async () => {
    for (const body of [{ interval_seconds: 0 }, { every_days: 7, time_zone: 'Atlantis/Capital' }]) {
      expect(await problem(`${path}/schedule`, { method: 'POST', body })).toMatchObject({ status: 400 });
    }
  });
});

describe('automatic retrainings', () => {
  it('start one run when both schedules act in the same second, and record why the other did not', async () => {
    const model = await knownModel('raced');
    const { schedules } = fixture.served.api.retraining;
    await schedules.ensure(model);
    const by = { name: 'test', via: 'rest', from: 'test', requestId: null } as const;
    const ids = [`continuous_training-${model}`, `mlops_retraining_pipeline-${model}`];
    await fixture.withWorkers(async () => {
      await Promise.all(ids.map((id) => schedules.trigger(id, by)));
      const { items } = await poll(
        () => history(model),
        (page) => page.items.length === 2 && page.items.some(({ run }) => run?.outcome === 'promoted'),
      );
      const [retrained] = items.filter(({ decision }) => decision === 'retrain');
      const [skipped] = items.filter(({ decision }) => decision === 'skip');
      expect(['new_data', 'schedule']).toContain(retrained?.trigger);
      expect(['already_running', 'cool_down']).toContain(skipped?.skipped_because);
      expect(retrained?.run).toMatchObject({ status: 'completed', outcome: 'promoted' });
    });
    const { items: runs } = await createPipelineStore(fixture.served.api.database).list({
      limit: 10,
      workflow: 'retrainingPipeline',
      modelName: model,
    });
    expect(runs).toHaveLength(1);
    const details = runs[0]?.steps.map(({ detail }) => detail);
    expect(details).toContain('no model is in Production yet');
    expect(details).toContain('80 of 80 images are new (100.0 %)');
  });

  it('are not blocked by a run that was terminated from outside', async () => {
    const model = await knownModel('orphaned');
    const { run_id: runId } = await trigger(model);
    await fixture.served.api.temporal.use((client) => client.workflow.getHandle(`retrain-${model}`, runId).terminate());
    expect((await history(model)).items[0]?.run?.status).toBe('running');
    const { schedules } = fixture.served.api.retraining;
    await schedules.ensure(model);
    await fixture.withWorkers(async () => {
      const by = { name: 'test', via: 'rest', from: 'test', requestId: null } as const;
      await schedules.trigger(`continuous_training-${model}`, by);
      const { items } = await poll(
        () => history(model),
        (page) => page.items[0]?.run?.status === 'completed',
      );
      expect(items[1]?.run).toMatchObject({ run_id: runId, status: 'cancelled' });
    });
  });
});

describe('the history', () => {
  it('is paginated', async () => {
    const first = await answer(historySchema, `${path}/history?limit=1`);
    const second = await answer(historySchema, `${path}/history?limit=1&page_token=${first.next_page_token ?? ''}`);
    expect(Number(first.items[0]?.id)).toBeGreaterThan(Number(second.items[0]?.id));
    expect(problemSchema.parse(await (await ask(`${path}/history?page_token=x`)).json()).status).toBe(400);
  });
});
