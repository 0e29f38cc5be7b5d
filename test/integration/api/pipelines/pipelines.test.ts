import { setTimeout as sleep } from 'node:timers/promises';
import { createHash, randomUUID } from 'node:crypto';
import { pipelineSchema, pipelineViewSchema } from '../../../../contracts/pipelines/http-pipelines.js';
import { acceptedSchema } from '../../../../contracts/workflows/accepted.js';
import { pageOf } from '../../../../contracts/http/page.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { uploadAcceptedSchema, datasetSummaryViewSchema } from '../../../../contracts/datasets/http-datasets.js';
import { ingestionInputSchema } from '../../../../contracts/datasets/ingestion.js';
import {
  ingestionSteps,
  retrainingSteps,
  searchAttributes,
  taskQueues,
  workflowTypes,
} from '../../../../contracts/names.js';
import { uploadKey } from '../../../../stores/objects/object-keys.js';
import { createPipelineStore } from '../../../../stores/pipelines/pipelines.js';
import { createUploadStore } from '../../../../stores/datasets/uploads.js';
import { poll } from '../../../support/api-client.js';
import { startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from '../../../support/services.js';

type Answer = { status: number; body: unknown; headers: Headers };

describe('pipelines', () => {
  let services: { postgres: TestService; objects: TestService; temporal: TestService };
  let served: ServedApi;

  beforeAll(async () => {
    const starting = [startPostgres(), startObjectStore(), startTemporal({ onDisk: true })] as const;
    const [postgres, objects, temporal] = await Promise.all(starting);
    services = { postgres, objects, temporal };
    served = await startApi({ ...postgres.environment, ...objects.environment, ...temporal.environment });
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all(Object.values(services).map((service) => service.stop()));
  });

  const ask = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(served.url + path, init);
    return { status: response.status, body: await response.json(), headers: response.headers };
  };
  const post = (path: string, body: unknown): Promise<Answer> =>
    ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const problemOf = ({ status, body }: Answer): { status: number; code: string } => {
    const problem = problemSchema.parse(body);
    expect(problem.status).toBe(status);
    return { status, code: problem.code };
  };

  it('returns the same run to two concurrent triggers, and reports to one that it joined', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => post('/api/v1/pipelines/retraining', {})));
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
    const accepted = answers.map(({ body }) => acceptedSchema.parse(body));
    expect(new Set(accepted.map(({ run_id }) => run_id)).size).toBe(1);
    expect(accepted.filter(({ joined }) => !joined)).toHaveLength(1);
    expect(accepted[0]?.workflow_id).toBe(`retrain-${served.config.MODEL_NAME}`);
  });

  it('starts a new run when the previous one has ended in the database and is about to close', async () => {
    const first = acceptedSchema.parse((await post('/api/v1/pipelines/retraining', { model_name: 'closing' })).body);
    await createPipelineStore(served.api.database).close(first.run_id, { status: 'completed' });
    const second = post('/api/v1/pipelines/retraining', { model_name: 'closing' });
    await sleep(200);
    await served.api.temporal.use((client) => client.workflow.getHandle(first.workflow_id).terminate());
    const accepted = acceptedSchema.parse((await second).body);
    expect(accepted.joined).toBe(false);
    expect(accepted.run_id).not.toBe(first.run_id);
  });

  it('joins a run that was not started by this API', async () => {
    const workflowId = 'retrain-started_elsewhere';
    const runId = await served.api.temporal.use(async (client) => {
      const options = { taskQueue: taskQueues.pipeline, workflowId, args: [], memo: { trigger: 7 } };
      return (await client.workflow.start(workflowTypes.retrainingPipeline, options)).firstExecutionRunId;
    });
    const answer = await post('/api/v1/pipelines/retraining', { model_name: 'started_elsewhere' });
    expect(answer.status).toBe(202);
    const accepted = acceptedSchema.parse(answer.body);
    expect(accepted).toMatchObject({ run_id: runId, joined: true });
    expect(pipelineSchema.parse((await ask(accepted.status_url)).body)).toMatchObject({
      trigger: 'manual',
      dataset: served.config.DATASET_NAME,
    });
  });

  it('answers with the links of the run, here and in Temporal', async () => {
    const { body, headers } = await post('/api/v1/pipelines/retraining', { model_name: 'looked_at' });
    const accepted = acceptedSchema.parse(body);
    expect(headers.get('location')).toBe(`/api/v1/pipelines/${accepted.run_id}`);
    expect(accepted.status_url).toBe(headers.get('location'));
    expect(accepted.temporal_url).toBe(
      `${services.temporal.environment['TEMPORAL_UI_URL'] ?? ''}/namespaces/default/workflows/retrain-looked_at/${accepted.run_id}/history`,
    );
    const run = await ask(accepted.status_url);
    expect(run.status).toBe(200);
    expect(pipelineSchema.parse(run.body)).toMatchObject({
      id: accepted.run_id,
      status: 'running',
      trigger: 'manual',
      model_name: 'looked_at',
      dataset: served.config.DATASET_NAME,
      result: null,
      temporal_url: accepted.temporal_url,
      steps: retrainingSteps.map((name) => ({ name, status: 'pending' })),
    });
  });

  it('starts the workflow with its input, memo and search attributes', async () => {
    const source = { kind: 'folder', path: '/photographs' };
    const { body } = await post('/api/v1/pipelines/ingestion', { dataset: 'described', source });
    const { workflow_id: workflowId, run_id: runId } = acceptedSchema.parse(body);
    expect(workflowId).toMatch(/^ingest-described-[0-9a-f]{16}$/);
    const { type, attributes, input } = await served.api.temporal.use(async (client) => {
      const handle = client.workflow.getHandle(workflowId, runId);
      const description = await handle.describe();
      const history = await handle.fetchHistory();
      const payload = history.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
      const parsed: unknown = JSON.parse(Buffer.from(payload ?? []).toString());
      const named = description.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value] as const);
      return { type: description.type, attributes: Object.fromEntries(named), input: parsed };
    });
    expect(type).toBe('ingestDataset');
    expect(ingestionInputSchema.parse(input)).toMatchObject({ dataset: 'described', source, trigger: 'manual' });
    expect(attributes).toEqual({ MlDataset: 'described', MlTrigger: 'manual', MlStage: 'start' });
    expect(Object.keys(attributes).every((name) => searchAttributes.some((known) => known === name))).toBe(true);
    const other = acceptedSchema.parse((await post('/api/v1/pipelines/ingestion', { dataset: 'described' })).body);
    expect(other.workflow_id).not.toBe(workflowId);
  });

  it('lists runs newest first, page by page, filtered', async () => {
    const pageSchema = pageOf(pipelineSchema);
    const all = pageSchema.parse((await ask('/api/v1/pipelines')).body);
    const seen: string[] = [];
    let token: string | null = '';
    while (token !== null) {
      const page: { items: { id: string }[]; next_page_token: string | null } = pageSchema.parse(
        (await ask(`/api/v1/pipelines?limit=1${token && `&page_token=${token}`}`)).body,
      );
      seen.push(...page.items.map(({ id }) => id));
      token = page.next_page_token;
    }
    expect(seen.length).toBeGreaterThan(2);
    expect(seen).toEqual(all.items.map(({ id }) => id));
    const filtered = pageSchema.parse((await ask('/api/v1/pipelines?workflow=ingestDataset&status=running')).body);
    expect(filtered.items.map(({ dataset }) => dataset)).toEqual(['described', 'described']);
    const ofModel = pageSchema.parse((await ask('/api/v1/pipelines?model=looked_at')).body);
    expect(ofModel.items).toHaveLength(1);
  });

  it.each([
    ['/api/v1/pipelines?limit=0', 400, 'bad_request'],
    ['/api/v1/pipelines?page_token=nonsense', 400, 'bad_request'],
    ['/api/v1/pipelines?status=sleeping', 400, 'bad_request'],
    ['/api/v1/pipelines/no-such-run', 404, 'not_found'],
    ['/api/v1/datasets/no-such-set', 404, 'not_found'],
    ['/api/v1/datasets/No%20Name', 400, 'bad_request'],
    ['/api/v1/datasets/no-such-set/versions/1', 404, 'not_found'],
    ['/api/v1/datasets/no-such-set/versions/last', 400, 'bad_request'],
    ['/api/v1/mlops/models/no-such-model/versions', 404, 'not_found'],
  ])('answers GET %s with %i', async (path, status, code) => {
    expect(problemOf(await ask(path))).toEqual({ status, code });
  });

  it.each([
    ['an unknown field', { epochs: 3 }, '#'],
    ['an unknown hyperparameter', { hyperparameters: { epoch: 3 } }, '#/hyperparameters'],
    ['a wrong value', { hyperparameters: { epochs: 0 } }, '#/hyperparameters/epochs'],
    ['a bad name', { model_name: 'a/b' }, '#/model_name'],
    ['a relative folder', { source: { kind: 'folder', path: 'here' } }, '#/source/path'],
  ])('refuses %s and points at it', async (_name, body, pointer) => {
    const answer = await post('/api/v1/pipelines/retraining', body);
    expect(problemOf(answer)).toEqual({ status: 400, code: 'bad_request' });
    expect(problemSchema.parse(answer.body).errors?.map((fault) => fault.pointer)).toEqual([pointer]);
  });

  it('cancels a run, and answers 409 when it has ended already', async () => {
    const accepted = acceptedSchema.parse(
      (await post('/api/v1/pipelines/retraining', { model_name: 'cancelled' })).body,
    );
    const cancel = (): Promise<Answer> => ask(`${accepted.status_url}/cancel`, { method: 'POST' });
    expect((await cancel()).status).toBe(202);
    const requested = await served.api.temporal.use(async (client) => {
      const { events } = await client.workflow.getHandle(accepted.workflow_id, accepted.run_id).fetchHistory();
      return events?.some((event) => Boolean(event.workflowExecutionCancelRequestedEventAttributes)) ?? false;
    });
    expect(requested).toBe(true);
    // No worker runs here that could end it; the end reaches Temporal first, then the database.
    await served.api.temporal.use((client) => client.workflow.getHandle(accepted.workflow_id).terminate());
    expect(problemOf(await cancel())).toEqual({ status: 409, code: 'conflict' });
    await createPipelineStore(served.api.database).close(accepted.run_id, { status: 'cancelled' });
    expect(problemOf(await cancel())).toEqual({ status: 409, code: 'conflict' });
    expect(problemOf(await ask('/api/v1/pipelines/no-such-run/cancel', { method: 'POST' })).status).toBe(404);
  });

  it('stores uploaded images byte for byte, and starts their ingestion', async () => {
    const files = [Buffer.from('first'), Buffer.from('second'), Buffer.alloc(200_000, 7)];
    const form = new FormData();
    files.forEach((bytes, index) => form.append('files', new Blob([bytes]), `Löwenzahn ${index}.jpg`));
    form.append('label', 'Löwenzahn, gelb');
    const answer = await ask('/api/v1/datasets/uploaded/images', { method: 'POST', body: form });
    expect(answer.status).toBe(202);
    const accepted = uploadAcceptedSchema.parse(answer.body);
    expect(accepted).toMatchObject({ files: 3, bytes: 200_011, joined: false });
    const uploads = createUploadStore(served.api.database);
    expect(await uploads.getUpload(accepted.upload_id)).toMatchObject({
      dataset: 'uploaded',
      label: 'Löwenzahn, gelb',
    });
    const stored = await uploads.uploadFiles(accepted.upload_id);
    expect(stored.map(({ name }) => name)).toEqual(['Löwenzahn 0.jpg', 'Löwenzahn 1.jpg', 'Löwenzahn 2.jpg']);
    for (const [position, bytes] of files.entries()) {
      const stored = await served.api.objects.get(uploadKey(accepted.upload_id, position));
      expect(createHash('sha256').update(stored).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
    const run = pipelineViewSchema.parse((await ask(accepted.status_url)).body);
    expect(run).toMatchObject({
      workflow: 'ingestDataset',
      dataset: 'uploaded',
      steps: ingestionSteps.map((name) => ({ name })),
    });
  });

  it('adds no file to an upload that was erased with its dataset', async () => {
    const uploads = createUploadStore(served.api.database);
    const adding = uploads.addUploadFile(randomUUID(), 0, 'late.png', 'uploads/late', 1);
    await expect(adding).rejects.toMatchObject({ code: 'conflict' });
  });

  it('refuses uploads without a file, without a label, with a bad label, and of another type', async () => {
    const send = (fill: (form: FormData) => void): Promise<Answer> => {
      const form = new FormData();
      fill(form);
      return ask('/api/v1/datasets/uploaded/images', { method: 'POST', body: form });
    };
    const file = new Blob(['bytes']);
    expect(problemOf(await send((form) => form.append('label', 'grass')))).toEqual({ status: 400, code: 'no_file' });
    expect(problemOf(await send((form) => form.append('files', file, 'a.jpg')))).toEqual({
      status: 400,
      code: 'bad_request',
    });
    const badLabel = await send((form) => {
      form.append('files', file, 'a.jpg');
      form.append('label', '../up');
    });
    expect(problemSchema.parse(badLabel.body)).toMatchObject({ status: 400, errors: [{ pointer: '#/label' }] });
    expect(problemOf(await post('/api/v1/datasets/uploaded/images', {}))).toEqual({
      status: 415,
      code: 'unsupported_type',
    });
  });

  it('lists datasets', async () => {
    const page = pageOf(datasetSummaryViewSchema).parse((await ask('/api/v1/datasets')).body);
    expect(page.items).toEqual([]);
  });

  it('answers 503 within seconds while Temporal is unavailable, serves the rest, and recovers', async () => {
    await services.temporal.pause();
    try {
      const startedAt = performance.now();
      const away = await post('/api/v1/pipelines/retraining', { model_name: 'later' });
      expect(problemOf(away)).toEqual({ status: 503, code: 'temporal_unavailable' });
      expect(away.headers.get('retry-after')).toBe('5');
      expect(performance.now() - startedAt).toBeLessThan(20_000);
      expect((await ask('/api/v1/pipelines')).status).toBe(200);
    } finally {
      await services.temporal.resume();
    }
    const back = await poll(
      () => post('/api/v1/pipelines/retraining', { model_name: 'later' }),
      ({ status }) => status === 202,
    );
    expect(acceptedSchema.parse(back.body).joined).toBe(false);
  });
});
