import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { pageOf } from '../../../../contracts/http/page.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import {
  experimentViewSchema,
  metricCurveViewSchema,
  runComparisonViewSchema,
  runSummaryViewSchema,
  runViewSchema,
} from '../../../../contracts/experiments/http-experiments.js';
import { createPipelineStore } from '../../../../stores/pipelines/pipelines.js';
import { createRunStore } from '../../../../stores/experiments/runs.js';
import { commitImages } from '../../../support/dataset-version.js';
import { makeRun } from '../../../support/runs.js';
import { problemOf, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

let postgres: TestService;
let objectStore: TestService;
let served: ServedApi;
beforeAll(async () => {
  [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
  const links = { TEMPORAL_UI_URL: 'http://127.0.0.1:8233' };
  served = await startApi({ ...postgres.environment, ...objectStore.environment, ...links });
  await commitImages(served.api.database, 'flowers', { a: [1, 2, 3], b: [4, 5, 6] });
});
afterAll(async () => {
  await served.stop();
  await Promise.all([postgres.stop(), objectStore.stop()]);
});

const base = '/api/v1/experiments';
const send = (method: string, path: string, body?: unknown): Promise<Response> =>
  fetch(served.url + base + path, {
    method,
    headers: { 'x-actor': 'ada', ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
const ask = async <S extends z.ZodType>(schema: S, path: string): Promise<z.output<S>> => {
  const response = await send('GET', path);
  expect(response.status).toBe(200);
  return schema.parse(await response.json());
};
const make = (...made: Parameters<typeof makeRun> extends [unknown, ...infer Rest] ? Rest : never): Promise<string> =>
  makeRun(served.api.database, ...made);
const search = (experiment: string, query: Record<string, string>): Promise<Response> =>
  send('GET', `/${experiment}/runs?${new URLSearchParams(query).toString()}`);
const audited = async (subject: string): Promise<unknown[]> =>
  served.api.database.query('SELECT action, actor, via FROM audit_log WHERE subject = $1 ORDER BY id', [subject]);

describe('experiments over HTTP', () => {
  it('are created, read, changed and listed', async () => {
    const body = { name: 'new', description: 'why', tags: { team: 'x' } };
    const created = await send('POST', '', body);
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toBe(`${base}/new`);
    expect(await problemOf(await send('POST', '', body))).toEqual({ status: 409, code: 'conflict' });
    const changed = await send('PATCH', '/new', { tags: { team: null, goal: 'more' } });
    expect(experimentViewSchema.parse(await changed.json())).toMatchObject({
      description: 'why',
      tags: { goal: 'more' },
    });
    expect(await ask(experimentViewSchema, '/new')).toMatchObject({ name: 'new', runs: 0, last_run_at: null });
    expect((await ask(pageOf(experimentViewSchema), '')).items.map(({ name }) => name)).toContain('new');
    expect(await audited('experiments/new')).toEqual(
      ['experiment.create', 'experiment.update'].map((action) => ({ action, actor: 'ada', via: 'rest' })),
    );
  });

  it.each([
    ['GET', '/nowhere', undefined, 404],
    ['PATCH', '/nowhere', {}, 404],
    ['GET', '/nowhere/runs', undefined, 404],
    ['GET', '/-', undefined, 400],
    ['POST', '', { name: 'Not a name' }, 400],
    ['POST', '', { name: '-' }, 400],
    ['POST', '', { name: 'x', tags: { a: 1 } }, 400],
    ['POST', '', { name: 'x', colour: 'red' }, 400],
  ])('answer %s %s %j with %d', async (method, path, body, status) => {
    expect((await problemOf(await send(method, path, body))).status).toBe(status);
  });
});

describe('the search for runs over HTTP', () => {
  it('filters, sorts and pages through one experiment or all', async () => {
    for (const [index, accuracy] of [0.7, 0.95, 0.92].entries()) {
      await make({ experiment: 'found', name: `run-${index}`, tags: { team: 'search' } }, { accuracy });
    }
    const query = {
      filter: "metrics.accuracy >= 0.9 and tags.team = 'search'",
      order_by: 'metrics.accuracy',
      limit: '1',
    };
    const page = pageOf(runSummaryViewSchema);
    for (const experiment of ['found', '-']) {
      const first = page.parse(await (await search(experiment, query)).json());
      expect(first.items).toMatchObject([
        { name: 'run-2', experiment: 'found', metrics: { accuracy: 0.92 }, parameters: { batch_size: 32 } },
      ]);
      const more = { ...query, page_token: first.next_page_token ?? '' };
      const second = page.parse(await (await search(experiment, more)).json());
      expect([second.items.map(({ name }) => name), second.next_page_token]).toEqual([['run-1'], null]);
    }
  });

  it('says where a filter, an order or a token is wrong', async () => {
    const wrong = await search('found', { filter: 'metrics.accuracy >=' });
    expect(problemSchema.parse(await wrong.json())).toMatchObject({
      status: 400,
      errors: [{ pointer: 'query/filter', detail: 'Syntax error at character 20: expected a value after >=.' }],
    });
    const order = problemSchema.parse(await (await search('found', { order_by: 'metrics.' })).json());
    expect(order.errors?.[0]?.pointer).toBe('query/order_by');
    expect(await problemOf(await search('found', { page_token: 'rubbish' }))).toEqual({
      status: 400,
      code: 'bad_request',
    });
  });
});

describe('a run over HTTP', () => {
  it('that failed half-way shows everything it had', async () => {
    const { database } = served.api;
    const pipelineId = randomUUID();
    const pipeline = { workflow: 'retrainingPipeline', trigger: 'manual', modelName: 'rose', dataset: 'flowers' };
    await createPipelineStore(database).open({ ...pipeline, runId: pipelineId, workflowId: 'retrain-rose', steps: [] });
    const workflowId = `retrain-rose-${pipelineId}-train_new_model`;
    const runId = await make({ workflowId }, { losses: [0.7, 0.3] });
    await createRunStore(database).fail(runId, 'failed', { code: 'trainer_died', message: 'It was killed.' });
    expect(await ask(runViewSchema, `/rose/runs/${runId}`)).toMatchObject({
      run_id: runId,
      status: 'failed',
      error: { code: 'trainer_died', message: 'It was killed.' },
      metrics: { validation_loss: 0.3 },
      parameters: { architecture: 'efficientnet-lite0', learning_rate: 0.003 },
      attempts: 1,
      checkpoints: 0,
      artifacts: [],
      model_version: null,
      pipeline_id: pipelineId,
      test: null,
    });
    const curves = await ask(pageOf(metricCurveViewSchema), `/-/runs/${runId}/metrics?name=validation_loss`);
    expect(curves.items).toMatchObject([
      {
        total_points: 2,
        points: [
          { step: 0, value: 0.7 },
          { step: 1, value: 0.3 },
        ],
      },
    ]);
  });

  it('names the pipeline in whose workflow it ran, also when a later one has the same workflow id', async () => {
    const pipelines = createPipelineStore(served.api.database);
    const [first, second] = [randomUUID(), randomUUID()];
    const pipeline = { workflow: 'retrainingPipeline', trigger: 'manual', modelName: 'rose', dataset: 'flowers' };
    for (const runId of [first, second])
      await pipelines.open({ ...pipeline, runId, workflowId: 'retrain-rose', steps: [] });
    for (const workflowRunId of [first, second]) {
      const runId = await make({ workflowId: 'retrain-rose', workflowRunId }, { losses: [0.5] });
      const run = await ask(runViewSchema, `/rose/runs/${runId}`);
      expect(run.pipeline_id).toBe(workflowRunId);
      expect(run.temporal_url).toContain(workflowRunId);
    }
  });

  it('gives long curves shortened, with their spikes', async () => {
    const losses = Array.from({ length: 100 }, (_, step) => (step === 41 ? 9 : 1 / (step + 1)));
    const runId = await make({}, { losses });
    const page = await ask(
      pageOf(metricCurveViewSchema),
      `/rose/runs/${runId}/metrics?name=validation_loss&max_points=10`,
    );
    const [curve] = page.items;
    expect(curve?.total_points).toBe(100);
    expect(curve?.points.length).toBeLessThanOrEqual(10);
    expect(curve?.points).toContainEqual(expect.objectContaining({ step: 41, value: 9 }));
    const part = await ask(pageOf(metricCurveViewSchema), `/rose/runs/${runId}/metrics?from_step=98`);
    expect(part.items.every(({ points }) => points.length === 2)).toBe(true);
  });

  it('returns its files unchanged', async () => {
    const { objects, database } = served.api;
    const runId = await make({}, { accuracy: 0.9 });
    const bytes = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>');
    const name = 'charts/curves.svg';
    await objects.put(`runs/${runId}/${name}`, bytes);
    const sha256 = 'a'.repeat(64);
    const artifact = { name, objectKey: `runs/${runId}/${name}`, sha256, sizeBytes: bytes.byteLength };
    await createRunStore(database).addArtifact(runId, artifact);
    const { artifacts } = await ask(runViewSchema, `/rose/runs/${runId}`);
    expect(artifacts).toMatchObject([{ name, sha256, content_type: 'image/svg+xml' }]);
    const url = served.url + (artifacts[0]?.url ?? '');
    const response = await fetch(url);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(bytes);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/svg+xml',
      'content-length': String(bytes.byteLength),
      'content-disposition': "inline; filename*=UTF-8''curves.svg",
      etag: `"${sha256}"`,
      'x-content-type-options': 'nosniff',
    });
    const conditional = async (tags: string): Promise<number> =>
      (await fetch(url, { headers: { 'if-none-match': tags } })).status;
    expect(await Promise.all(['*', `"${sha256}"`, `"other", W/"${sha256}"`].map(conditional))).toEqual([304, 304, 304]);
    expect(await Promise.all(['"other"', `"${sha256.slice(1)}"`].map(conditional))).toEqual([200, 200]);
    expect((await problemOf(await send('GET', `/rose/runs/${runId}/artifacts/none.svg`))).status).toBe(404);
    await objects.delete(artifact.objectKey);
    const gone = await fetch(url);
    expect(gone.headers.get('etag')).toBeNull();
    expect((await problemOf(gone)).status).toBe(404);
  });

  it('is compared with others', async () => {
    const first = await make({ name: 'one' }, { accuracy: 0.9, losses: [1] });
    const second = await make({ name: 'two' }, { accuracy: 0.95, parameters: { epochs: 3 } });
    const comparison = await ask(runComparisonViewSchema, `/rose/compare?ids=${second},${first}`);
    expect(comparison.runs.map(({ name }) => name)).toEqual(['two', 'one']);
    expect(comparison.parameters).toEqual([{ name: 'epochs', values: [3, 40] }]);
    expect(comparison.metrics).toContainEqual({
      name: 'accuracy',
      values: [0.95, 0.9],
      better: 'higher',
      best: [second],
    });
    expect(comparison.metrics).toContainEqual({
      name: 'validation_loss',
      values: [null, 1],
      better: 'lower',
      best: [first],
    });
    expect(comparison.curves).toContain('validation_loss');
    expect((await problemOf(await send('GET', `/rose/compare?ids=${first}`))).status).toBe(400);
    expect((await problemOf(await send('GET', `/rose/compare?ids=${first},nowhere`))).status).toBe(404);
  });

  it('is renamed, tagged and deleted, unless a model version came from it', async () => {
    const runId = await make({ tags: { a: '1' } }, { accuracy: 0.9 });
    const path = `/rose/runs/${runId}`;
    const edited = runViewSchema.parse(await (await send('PATCH', path, { name: 'best', tags: { b: '2' } })).json());
    expect(edited).toMatchObject({ name: 'best', tags: { a: '1', b: '2' } });
    expect((await problemOf(await send('PATCH', path, { name: 'a\u0000b' }))).status).toBe(400);
    expect((await send('DELETE', path)).status).toBe(200);
    for (const rest of ['', '/metrics', '/artifacts']) {
      expect((await problemOf(await send('GET', path + rest))).status).toBe(404);
    }
    expect((await problemOf(await send('DELETE', path))).status).toBe(404);
    expect((await problemOf(await send('GET', `/another/runs/${await make({})}`))).status).toBe(404);
    expect(await audited(`runs/${runId}`)).toMatchObject([{ action: 'run.update' }, { action: 'run.delete' }]);

    const { runId: made, modelName, version } = await served.registerTiny();
    await make({ runId: made, modelName }, { accuracy: 0.9 });
    expect(await ask(runViewSchema, `/-/runs/${made}`)).toMatchObject({ model_version: String(version) });
    expect(await problemOf(await send('DELETE', `/-/runs/${made}`))).toEqual({ status: 409, code: 'referenced' });
    expect((await send('GET', `/${modelName}/runs/${made}`)).status).toBe(200);
  });
});
