import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { bundleFiles } from '../../../contracts/registry/bundle.js';
import { pipelineViewSchema } from '../../../contracts/pipelines/http-pipelines.js';
import { modelVersionViewSchema } from '../../../contracts/registry/http-versions.js';
import { problemSchema } from '../../../contracts/http/problem.js';
import { hyperparametersSchema } from '../../../contracts/training/training.js';
import { createEngine } from '../../../model/serving/engine.js';
import { verifyBundle } from '../../../model/serving/verify-bundle.js';
import { tf } from '../../../model/tensorflow.js';
import { fetchBundle } from '../../../stores/registry/bundles.js';
import { createRetentionStore } from '../../../stores/pipelines/retention.js';
import { createApiClient, type ApiClient } from '../../support/api-client.js';
import { startImportFixture, type ImportFixture } from '../../support/import-fixture.js';
import { formPart, multipartHeaders, postRaw } from '../../support/raw-request.js';
import { problemOf, redImage } from '../../support/served-api.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { redness, tinyGraph } from '../../support/tiny-graph.js';
import { saveLayers } from '../../support/uploaded-models.js';

const folder = temporaryFolder();
let fixture: ImportFixture;
let client: ApiClient;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  fixture = await startImportFixture(folder);
  client = createApiClient(fixture.served.url);
}, 60_000);
afterAll(() => fixture.stop());

const path = '/api/v1/mlops/models/register';
const upload: ImportFixture['upload'] = (fields, files) => fixture.upload(fields, files);
const imported: ImportFixture['imported'] = (fields, files) => fixture.imported(fields, files);
const registerJson = (body: unknown): ReturnType<ApiClient['post']> => client.post(path, body);
/** The tiny model's first output is the redder. */
const tiny = { 'classifier.onnx': tinyGraph(2, 0) };
const labels = 'red,green';

describe('an uploaded ONNX model', () => {
  it('becomes a version in Staging that the engine serves, measured on the test images', async () => {
    const pipeline = await imported(
      {
        model_name: 'from_outside',
        labels,
        description: 'Made by *hand*',
        tags: '{"team":"meadow"}',
        licence: 'MIT',
        semantic_version: '3.1.4',
      },
      tiny,
    );
    expect(pipeline).toMatchObject({ status: 'completed', workflow: 'importModel', model_name: 'from_outside' });
    expect(pipeline.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'check_bundle completed',
      'evaluate completed',
      'register completed',
    ]);
    const { result } = pipelineViewSchema.parse((await client.get(`/api/v1/pipelines/${pipeline.id}`)).body);
    expect(result).toMatchObject({ version: '1', is_new_version: true, dataset: 'flowers', test: { accuracy: 1 } });
    const version = await fixture.stores.registry.get('from_outside', 1);
    expect(version).toMatchObject({
      stage: 'Staging',
      origin: 'uploaded',
      architecture: 'external',
      labels: ['green', 'red'],
      description: 'Made by *hand*',
      tags: { team: 'meadow' },
      semanticVersion: '3.1.4',
    });
    expect(await fixture.stores.runs.get(version.runId)).toMatchObject({ kind: 'import', status: 'completed' });
    const { items } = await fixture.stores.audit.list({ limit: 10, subject: 'models/from_outside' });
    expect(items.map(({ actor, action, subject }) => [actor, action, subject])).toEqual([
      ['ada', 'version.register', 'models/from_outside/versions/1'],
    ]);
    const bundle = await fetchBundle(fixture.served.api.objects, version, join(folder, 'bundles'));
    expect(await verifyBundle(bundle)).toMatchObject({ hyperparameters: null, parityMaxAbsoluteError: null });
    const card = await readFile(join(bundle, bundleFiles.modelCard), 'utf8');
    for (const words of [
      'An external model, uploaded as ONNX by ada',
      'MIT',
      'Made by \\*hand\\*',
      'training data is not known',
    ])
      expect(card).toContain(words);
    const limits = { maxPixels: 1e6, maxBytes: 1e6, minSide: 8 };
    const engine = await createEngine({ bundleFolder: bundle, threads: 1, queueLimit: 4, limits });
    expect(await engine.predictImage(await redImage())).toMatchObject({ label: 'red' });
    await engine.close();
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('with a single sigmoid output serves two classes, the second label by its probability', async () => {
    const given = ['green,red', 'red,green'].map((order) => ({ model_name: 'binary', labels: order }));
    const [right, swapped] = await Promise.all(given.map((fields) => imported(fields, { 'net.onnx': redness() })));
    expect([right?.result, swapped?.result]).toMatchObject([{ test: { accuracy: 1 } }, { test: { accuracy: 0 } }]);
  });

  it('is the same version when it is uploaded again, under another file name', async () => {
    const first = await imported({ model_name: 'twice', labels }, tiny);
    const again = await imported(
      { model_name: 'twice', labels: '["red","green"]' },
      { 'other.onnx': tiny['classifier.onnx'] },
    );
    expect(first.result).toMatchObject({ version: '1', is_new_version: true });
    expect(again.result).toMatchObject({ version: '1', is_new_version: false });
    const other = await imported({ model_name: 'twice', labels }, { 'classifier.onnx': tinyGraph(2, 1) });
    expect(other.result).toMatchObject({ version: '2', is_new_version: true });
    expect((await fixture.stores.registry.list('twice', { limit: 10 })).items).toHaveLength(2);
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('is one version when it is uploaded ten times at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => imported({ model_name: 'at_once', labels }, tiny)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['completed']));
    expect((await fixture.stores.registry.list('at_once', { limit: 20 })).items).toHaveLength(1);
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('leaves nothing for retention', async () => {
    expect(await createRetentionStore(fixture.served.api.database).leftUploads(new Date(Date.now() + 60_000))).toEqual(
      [],
    );
  });

  it('that has only some classes is judged on those', async () => {
    const { result } = await imported({ model_name: 'some_classes', labels: 'red,blue' }, tiny);
    expect(result).toMatchObject({ version: '1', test: { accuracy: 1 } });
  });

  it.each([
    ['rubbish', { labels }, { 'model.onnx': randomBytes(5_000) }, 'bundle_invalid', /not an ONNX model/],
    ['unknown labels', { labels: 'cat,dog' }, tiny, 'bundle_invalid', /\(cat, dog\) include none of the classes/],
    ['one label too many', { labels: 'red,green,blue' }, tiny, 'bundle_invalid', /2 numbers per image, but 3 labels/],
    ['a dataset that is not there', { labels, dataset: 'nowhere' }, tiny, 'not_found', /Dataset nowhere/],
  ])('fails with the reason in its pipeline for %s', async (_what, fields, files, code, says) => {
    const pipeline = await imported({ model_name: 'refused', ...fields }, files);
    expect(pipeline.status).toBe('failed');
    expect(pipeline.error?.code).toBe(code);
    expect(pipeline.error?.message).toMatch(says);
    expect(pipeline.steps[0]).toMatchObject({
      name: 'check_bundle',
      status: 'failed',
      detail: pipeline.error?.message,
    });
    expect(await fixture.stores.registry.models()).not.toContain('refused');
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('can be uploaded again after it failed to register', async () => {
    const other = { 'classifier.onnx': tinyGraph(2, 2) };
    const taken = await imported({ model_name: 'from_outside', labels, semantic_version: '3.1.4' }, other);
    expect(taken).toMatchObject({ status: 'failed', error: { code: 'conflict' } });
    const again = await imported({ model_name: 'from_outside', labels, semantic_version: '3.2.0' }, other);
    expect(again.result).toMatchObject({ version: '2' });
  });
});

describe('an uploaded TF.js model', () => {
  it('is converted, and agrees with TF.js', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.rescaling({ inputShape: [224, 224, 3], scale: 1 / 255 }),
        tf.layers.globalAveragePooling2d({}),
        tf.layers.dense({ units: 2, activation: 'softmax' }),
      ],
    });
    const weights = [
      tf.tensor2d([
        [9, -9],
        [-9, 9],
        [0, 0],
      ]),
      tf.tensor1d([0, 0]),
    ];
    model.setWeights(weights);
    await mkdir(join(folder, 'layers'));
    const files = await saveLayers(model, join(folder, 'layers'));
    tf.dispose(weights);
    model.dispose();
    const sent: Record<string, Uint8Array> = {};
    for (const { name, path: from } of files) sent[name] = await readFile(from);
    const pipeline = await imported({ model_name: 'layers', labels }, sent);
    expect(pipeline.error).toBeNull();
    expect(pipeline.result).toMatchObject({ version: '1', test: { accuracy: 1 } });
    const bundle = await fetchBundle(
      fixture.served.api.objects,
      await fixture.stores.registry.get('layers', 1),
      join(folder, 'bundles'),
    );
    expect((await verifyBundle(bundle)).parityMaxAbsoluteError).toBeLessThan(1e-5);
  });
});

describe('an upload that is invalid', () => {
  it.each([
    ['no file', { model_name: 'm', labels }, {}, 400, 'no_file'],
    ['no labels', { model_name: 'm' }, tiny, 400, 'bad_request'],
    ['a label twice', { model_name: 'm', labels: 'red,red' }, tiny, 400, 'bad_request'],
    ['one label', { model_name: 'm', labels: 'red' }, tiny, 400, 'bad_request'],
    ['a name that is a route', { model_name: 'register', labels }, tiny, 400, 'bad_request'],
    [
      'a description that no database takes',
      { model_name: 'm', labels, description: 'a\0b' },
      tiny,
      400,
      'bad_request',
    ],
    ['preprocessing that is no JSON', { model_name: 'm', labels, preprocessing: 'mean=0' }, tiny, 400, 'bad_request'],
    [
      'a standard deviation of zero',
      { model_name: 'm', labels, preprocessing: '{"mean":0,"std":0}' },
      tiny,
      400,
      'bad_request',
    ],
    ['an archive', { model_name: 'm', labels }, { 'model.zip': Buffer.from('PK') }, 415, 'unsupported_type'],
    ['two graphs', { model_name: 'm', labels }, { ...tiny, 'b.onnx': randomBytes(4) }, 415, 'unsupported_type'],
    ['weights alone', { model_name: 'm', labels }, { 'group1-shard1of1.bin': randomBytes(4) }, 400, 'bad_request'],
  ] as const)('is refused at once: %s', async (_what, fields, files, status, code) => {
    expect(await problemOf(await upload(fields, files))).toEqual({ status, code });
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('is refused at once: more bytes than allowed', async () => {
    const headers = { ...multipartHeaders, 'content-length': '200000001' };
    const { status, body } = await postRaw(fixture.served.url + path, headers, [
      formPart('files', Buffer.alloc(10), 'a.onnx'),
    ]);
    expect({ status, code: problemSchema.parse(JSON.parse(body)).code }).toEqual({ status: 413, code: 'too_large' });
  });
});

describe('a finished run', () => {
  it('becomes a version with the given description and tags', async () => {
    const tinyVersion = await fixture.served.registerTiny();
    const asked = { run_id: tinyVersion.runId, description: 'The first one', tags: { by: 'hand' } };
    const first = await registerJson(asked);
    expect(first.status).toBe(200);
    const view = modelVersionViewSchema.parse(first.body);
    expect(view).toMatchObject({
      version: String(tinyVersion.version),
      description: 'The first one',
      tags: { by: 'hand' },
    });
    expect((await registerJson(asked)).body).toEqual(first.body);
    expect((await registerJson({ run_id: tinyVersion.runId, model_name: 'another' })).status).toBe(409);
  });

  it('is 404 when it does not exist, and refused when it failed', async () => {
    expect(await registerJson({ run_id: 'nobody' })).toMatchObject({ status: 404, body: { code: 'not_found' } });
    await fixture.stores.runs.open(
      {
        runId: 'broken',
        modelName: 'm',
        dataset: 'flowers',
        datasetVersion: 1,
        hyperparameters: hyperparametersSchema.parse({}),
        workflowId: 'w',
        codeRevision: 'c',
      },
      1,
    );
    expect(await registerJson({ run_id: 'broken' })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    await fixture.stores.runs.fail('broken', 'failed', { code: 'training_diverged', message: 'the loss is NaN' });
    const { status, body } = await registerJson({ run_id: 'broken' });
    expect(status).toBe(409);
    expect(JSON.stringify(body)).toContain('the loss is NaN). Train again');
  });

  it('must be named', async () => {
    expect((await registerJson({})).status).toBe(400);
  });
});
