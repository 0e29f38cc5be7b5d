import { DefaultLogger, Runtime } from '@temporalio/worker';
import { modelSummaryViewSchema } from '../../../contracts/registry/http-models.js';
import { modelVersionViewSchema, type ModelVersionView } from '../../../contracts/registry/http-versions.js';
import { problemSchema, type Problem } from '../../../contracts/http/problem.js';
import { createApiClient, type ApiClient } from '../../support/api-client.js';
import { startImportFixture, type ImportFixture } from '../../support/import-fixture.js';
import { formWith, redImage, serves } from '../../support/served-api.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { tinyGraph } from '../../support/tiny-graph.js';

const folder = temporaryFolder();
let fixture: ImportFixture;
let client: ApiClient;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  fixture = await startImportFixture(folder);
  client = createApiClient(fixture.served.url);
}, 60_000);
afterAll(() => fixture.stop());

const models = '/api/v1/mlops/models';
const labels = 'red,green';
/** The tiny model's first output is the redder. */
const tiny = { 'classifier.onnx': tinyGraph(2, 0) };
const other = { 'classifier.onnx': tinyGraph(2, 1) };
const metrics = { valAccuracy: 0.95, 'f1 (macro)': 0.9 };

/** The call of the original documents. */
function send(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${fixture.served.url}${models}/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Actor': 'ada', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function reported(modelName: string, headers: Record<string, string> = {}): Promise<ModelVersionView> {
  const response = await send({ model_name: modelName, description: 'from a notebook', metrics }, headers);
  expect(response.status).toBe(200);
  return modelVersionViewSchema.parse(await response.json());
}

async function problemOf(response: Response): Promise<Problem> {
  return problemSchema.parse(await response.json());
}

async function versionOf(modelName: string, reference = '1'): Promise<ModelVersionView> {
  const { status, body } = await client.get(`${models}/${modelName}/versions/${reference}`);
  expect(status).toBe(200);
  return modelVersionViewSchema.parse(body);
}

const oneOf = (modelName: string): string => `${models}/${modelName}/versions/1`;

describe('a registration of metrics without a file', () => {
  it('is a version in None whose metrics are marked as reported', async () => {
    const version = await reported('told');
    expect(version).toMatchObject({
      ...{ version: '1', semantic_version: '1.0.0', stage: 'None', origin: 'reported', description: 'from a notebook' },
      ...{ metrics: null, reported_metrics: metrics, run_id: null, labels: null, dataset: null, bundle_sha256: null },
    });
    expect(await versionOf('told')).toEqual(version);
    expect(await versionOf('told', '@latest')).toEqual(version);
    expect((await client.get(`${models}/told/versions?stage=None`)).body).toMatchObject({ items: [version] });
    expect((await client.get(`${models}/told`)).body).toMatchObject({ versions: 1, latest_version: '1' });
    expect((await client.get('/api/v1/audit?subject=models/told')).body).toMatchObject({
      items: [
        {
          ...{ actor: 'ada', action: 'version.register', subject: 'models/told/versions/1' },
          after: { semantic_version: '1.0.0', origin: 'reported', reported_metrics: metrics },
        },
      ],
    });
  });

  it('makes a version each time, and one for an Idempotency-Key', async () => {
    expect([(await reported('repeated')).version, (await reported('repeated')).version]).toEqual(['1', '2']);
    const key = { 'Idempotency-Key': 'nightly-7' };
    const versions = await Promise.all(Array.from({ length: 10 }, () => reported('repeated', key)));
    expect(new Set(versions.map(({ version }) => version))).toEqual(new Set(['3']));
    expect((await reported('another', key)).version).toBe('1');
    const changed = await problemOf(await send({ model_name: 'repeated', metrics: { accuracy: 0.96 } }, key));
    expect(changed).toMatchObject({ status: 409, code: 'conflict' });
    expect(changed.detail).toMatch(/nightly-7 was used to register version 3 of repeated with other metrics/);
  });

  it.each([
    [
      { name: 'm', metrics },
      /`model_name` is missing.*\n`name` is not a field of the body. The nearest is `model_name`/s,
    ],
    [
      { model_name: 'm', metric: metrics },
      /`metrics` is missing.*\n`metric` is not a field.*The nearest is `metrics`/s,
    ],
    [{ model_name: 'm' }, /`metrics` is missing. Send an object: .*`run_id`/],
    [{}, /`run_id` is missing.*`model_name` and `metrics`/],
    [{ model_name: 'm', metrics: 0.9 }, /`metrics` must be an object, not 0.9/],
    [{ model_name: 'm', metrics: {} }, /`metrics`: name at least one metric/],
    [{ model_name: 'm', metrics: { accuracy: '0.95' } }, /`metrics.accuracy` must be a number, not a text/],
    [{ model_name: 'm', metrics: { accuracy: null } }, /`metrics.accuracy` must be a number, not null/],
    [{ model_name: 'm', metrics: { test: { accuracy: 1 } } }, /`metrics.test` must be a number, not an object/],
    [{ model_name: 'm', metrics: { '': 1 } }, /the name of a metric has 1 to 250 characters/],
    [{ model_name: 'm', metrics: { 'a\ud800': 1 } }, /the name of a metric has 1 to 250 characters/],
    ['{"model_name": "m", "metrics": {"__proto__": 1}}', /`metrics`: `__proto__` is no name for a metric/],
    ['{"model_name": "m", "metrics": {"loss": NaN}}', /`loss` is NaN, which JSON does not have/],
    ['{"model_name": "m", "metrics": {"loss": -Infinity}}', /`loss` is -Infinity, which JSON does not have/],
    ['{"model_name": "m", "metrics": {"loss": 1e999}}', /`metrics.loss` must be a number, not Infinity/],
    [{ model_name: 'm', metrics, description: 'x'.repeat(5001) }, /`description` must have at most 5000 characters/],
    [{ model_name: 'register', metrics }, /`model_name`: register, promote, export are reserved/],
    [{ model_name: 'm', metrics, semantic_version: 'v2' }, /`semantic_version`: three numbers/],
  ])('is refused with a sentence that names the field: %j', async (body, says) => {
    const { status, errors = [] } = await problemOf(await send(body));
    expect(status).toBe(400);
    expect(errors.map(({ detail }) => detail).join('\n')).toMatch(says);
  });
});

describe('a version without a file', () => {
  it.each([
    ['post', `${models}/promote`, { model_name: 'bare', version: 1, reason: 'best' }],
    ['post', `${oneOf('bare')}/validate`, {}],
    ['post', `${oneOf('bare')}/stage`, { stage: 'Staging', reason: 'best' }],
    [
      'post',
      '/api/v1/batch-predictions',
      { model_name: 'bare', version: '1', source: { kind: 'dataset', dataset: 'flowers' } },
    ],
    ['get', `${oneOf('bare')}/files`],
    ['get', `${oneOf('bare')}/files/model.onnx`],
    ['get', `${oneOf('bare')}/model-card`],
    ['get', `${oneOf('bare')}/calibration`],
    ['get', `${oneOf('bare')}/calibration/reliability.svg`],
    ['get', `${models}/bare/compare?versions=1,2`],
    ['get', `${models}/bare/versions/@latest/files`],
  ] as const)('answers 409 with the way to add the file: %s %s', async (method, path, body = {}) => {
    for (const [at] of [1, 2].entries()) await reported('bare', { 'Idempotency-Key': `bare-${at}` });
    const answer = method === 'get' ? await client.get(path) : await client.post(path, body);
    expect(answer).toMatchObject({ status: 409, body: { code: 'version_without_file' } });
    expect(JSON.stringify(answer.body)).toMatch(
      /POST \/api\/v1\/mlops\/models\/register as a form with model_name=bare, version=[12]/,
    );
  });

  it('can be described, named, archived and deleted', async () => {
    await reported('kept');
    const change = { description: 'better', tags: { team: 'meadow' } };
    const patched = await fetch(fixture.served.url + oneOf('kept'), {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(change),
    });
    expect(await patched.json()).toMatchObject({ ...change, reported_metrics: metrics });
    const archived = await client.post(`${oneOf('kept')}/stage`, { stage: 'Archived', reason: 'old' });
    expect(archived.body).toMatchObject({ stage: 'Archived' });
    const deleted = await fetch(`${fixture.served.url}${oneOf('kept')}?reason=wrong`, { method: 'DELETE' });
    expect(deleted.status).toBe(200);
    expect(await client.get(oneOf('kept'))).toMatchObject({ status: 404 });
    expect((await reported('kept')).version).toBe('2');
  });
});

describe('a file for a version that has none', () => {
  it('makes it a version in Staging with both metrics, and what was said about it', async () => {
    await reported('filled');
    const fields = { model_name: 'filled', version: '1', labels, licence: 'MIT', tags: '{"team":"meadow"}' };
    const { status, result } = await fixture.imported(fields, tiny);
    expect({ status, result }).toMatchObject({ status: 'completed', result: { version: '1', is_new_version: true } });
    const version = await versionOf('filled');
    expect(version).toMatchObject({
      ...{ version: '1', semantic_version: '1.0.0', stage: 'Staging', origin: 'uploaded', labels: ['green', 'red'] },
      ...{ description: 'from a notebook', tags: { team: 'meadow' }, reported_metrics: metrics },
      metrics: { accuracy: 1 },
    });
    const card = await (await fetch(`${fixture.served.url}${oneOf('filled')}/model-card`)).text();
    for (const words of ['from a notebook', '## What was reported', '| f1 \\(macro\\) | 0.9 |'])
      expect(card).toContain(words);
    expect(await client.get(`${oneOf('filled')}/files`)).toMatchObject({ status: 200 });
    const { items } = await fixture.stores.audit.list({ limit: 10, subject: 'models/filled' });
    expect(items.map(({ actor, action }) => `${actor} ${action}`)).toEqual([
      'ada version.register',
      'ada version.register',
    ]);
    expect((await fixture.stores.registry.list('filled', { limit: 10 })).items).toHaveLength(1);
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('is added once: the same upload finds it, another file is refused', async () => {
    await reported('once');
    const fields = { model_name: 'once', version: '1', labels };
    await fixture.imported(fields, tiny);
    expect((await fixture.imported(fields, tiny)).result).toMatchObject({ version: '1', is_new_version: false });
    const refused = await problemOf(await fixture.upload(fields, other));
    expect(refused).toMatchObject({ status: 409, code: 'conflict' });
    expect(refused.detail).toMatch(/Version 1 of once has a file.*Omit “version”/);
    expect((await fixture.imported({ model_name: 'once', labels }, tiny)).result).toMatchObject({ version: '2' });
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('is one of two that are uploaded at once', async () => {
    await reported('contested');
    const fields = { model_name: 'contested', version: '1', labels };
    const both = await Promise.all([fixture.imported(fields, tiny), fixture.imported(fields, other)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['completed', 'failed']);
    expect(both.find(({ status }) => status === 'failed')?.error?.code).toBe('conflict');
    expect((await fixture.stores.registry.list('contested', { limit: 10 })).items).toHaveLength(1);
  });

  it('that is refused leaves the version as it was, and another can follow', async () => {
    const before = await reported('retried');
    const failed = await fixture.imported({ model_name: 'retried', version: '1', labels: 'red,green,blue' }, tiny);
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'bundle_invalid' } });
    expect(await versionOf('retried')).toEqual(before);
    const fields = {
      model_name: 'retried',
      version: '1',
      labels,
      description: 'with its file',
      semantic_version: '2.0.0',
    };
    expect(await fixture.imported(fields, tiny)).toMatchObject({ status: 'completed' });
    expect(await versionOf('retried')).toMatchObject({ description: 'with its file', semantic_version: '2.0.0' });
  });

  it.each([
    ['a version that is not there', '9', 404, 'not_found'],
    ['no number', 'first', 400, 'bad_request'],
    ['a version that was uploaded', '1', 409, 'conflict'],
  ])('is refused at once for %s', async (_what, version, status, code) => {
    await fixture.imported({ model_name: 'uploaded', labels }, tiny);
    const response = await fixture.upload({ model_name: 'uploaded', version, labels }, other);
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status, code });
    expect(problem.detail).toMatch(/version/i);
    expect(await fixture.leftovers()).toEqual([]);
  });
});

describe('the served model', () => {
  it('comes from a version that got its file later, and a report beside it changes nothing', async () => {
    const { MODEL_NAME: modelName } = fixture.served.config;
    await reported(modelName);
    await fixture.imported({ model_name: modelName, version: '1', labels }, tiny);
    const version = await fixture.stores.registry.get(modelName, 1);
    await fixture.served.promote(version);
    await serves(fixture.served, version);
    await reported(modelName);
    const predict = (): Promise<Response> =>
      redImage().then((image) =>
        fetch(`${fixture.served.url}/predict`, { method: 'POST', body: formWith('file', image) }),
      );
    expect(await (await predict()).json()).toMatchObject({ prediction: 'red', model_version: '1' });
    expect((await client.get('/model/info')).body).toMatchObject({ model_version: '1' });
    const latest = modelSummaryViewSchema.parse((await client.get(`${models}/${modelName}`)).body);
    expect(latest).toMatchObject({ versions: 2, latest_version: '1', production_version: '1' });
    expect(await versionOf(modelName, '@latest')).toMatchObject({ version: '1' });
    const rollback = await client.post(`${models}/${modelName}/rollback`, { version: 2, reason: 'worse' });
    expect(rollback).toMatchObject({ status: 409, body: { code: 'version_without_file' } });
    expect(await client.post('/api/v1/erasures', { kind: 'model', id: 'told', reason: 'asked for' })).toMatchObject({
      status: 200,
    });
    expect(await client.get(oneOf('told'))).toMatchObject({ status: 404 });
  });
});
