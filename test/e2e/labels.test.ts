import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { predictionSchema } from '../../contracts/inference/http-predict.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { pageOf } from '../../contracts/http/page.js';
import { labelCandidateViewSchema } from '../../contracts/predictions/http-labels.js';
import { productionAccuracyViewSchema } from '../../contracts/predictions/http-predictions.js';
import { drawSyntheticImage, syntheticLabels, type SyntheticLabel } from '../../model/images/synthetic.js';
import { createApiClient, poll, type ApiClient } from '../support/api-client.js';
import { drawnImages } from '../support/drawn-images.js';
import { writeFolder } from '../support/ingestion-fixture.js';
import { formWith } from '../support/served-api.js';
import { startStack, type TestStack } from '../support/stack.js';

const model = 'dandelion_grass_classifier';
const perClass = 16;
const sentPerClass = 100;

let imageFolder: string;
let stack: TestStack;
let api: ApiClient;

beforeAll(async () => {
  imageFolder = await mkdtemp(join(tmpdir(), 'perennial-test-images-'));
  // Load shedding during training must not refuse the images that are to be labelled.
  stack = await startStack({ SERVING_LATENCY_TARGET_MS: '0' });
  api = createApiClient(stack.apiUrl);
}, 60_000);
afterAll(async () => {
  await stack.stop();
  await rm(imageFolder, { recursive: true, force: true });
});

async function send(path: string, body: unknown, method = 'POST'): Promise<Response> {
  const response = await fetch(stack.apiUrl + path, {
    method,
    headers: { 'content-type': 'application/json', 'x-actor': 'a botanist' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return response;
}

async function predict(bytes: Uint8Array): Promise<z.infer<typeof predictionSchema>> {
  const response = await fetch(`${stack.apiUrl}/predict`, { method: 'POST', body: formWith('file', bytes) });
  return predictionSchema.parse(await response.json());
}

/** Sends new images; returns the true label of each, by prediction id. */
async function sendImages(): Promise<Map<string, SyntheticLabel>> {
  const truth = new Map<string, SyntheticLabel>();
  for (let index = 0; index < sentPerClass; index += 1) {
    for (const label of syntheticLabels) {
      const { prediction_id: id } = await predict(await drawSyntheticImage(label, 10_000 + index));
      truth.set(id, label);
    }
  }
  return truth;
}

async function queue(limit: number): Promise<z.infer<typeof labelCandidateViewSchema>[]> {
  const { body } = await api.get(`/api/v1/labels/queue?limit=${limit}`);
  return pageOf(labelCandidateViewSchema).parse(body).items;
}

/** Labels the predictions of the queue until it is empty; returns their number. */
async function emptyQueue(truth: ReadonlyMap<string, SyntheticLabel>): Promise<number> {
  let labelled = 0;
  for (let shown = await queue(50); shown.length > 0; shown = await queue(50)) {
    await Promise.all(
      shown.map(({ prediction_id }) => send('/api/v1/labels', { prediction_id, label: truth.get(prediction_id) })),
    );
    labelled += shown.length;
  }
  return labelled;
}

async function waitingApprovals(): Promise<unknown[]> {
  const { body } = await api.get('/api/v1/approvals?outcome=waiting');
  return z.object({ items: z.array(z.unknown()) }).parse(body).items;
}

it('goes from 200 labels to a new champion that a person approved', async () => {
  const path = writeFolder(imageFolder, await drawnImages(perClass));
  const first = await api.startRetraining({ source: { kind: 'folder', path }, hyperparameters: { epochs: 3 } });
  expect(await api.ended(first.run_id)).toMatchObject({ status: 'completed', result: { outcome: 'promoted' } });
  const policy = { approval: { mode: 'always' }, serving: { keep_inputs: 'all' } };
  await send(`/api/v1/mlops/models/${model}/policy`, policy, 'PUT');
  // The policy is read at each poll of the database; an image before that is not captured.
  await poll(
    async () => {
      const { prediction_id: id } = await predict(await drawSyntheticImage('grass', 9_999));
      await send('/api/v1/labels', { prediction_id: id, decision: 'reject' }).catch(() => undefined);
      return (await api.get('/api/v1/labels')).body;
    },
    (body) => z.object({ items: z.array(z.unknown()) }).parse(body).items.length > 0,
    30_000,
  );

  const truth = await sendImages();
  await poll(
    () => queue(200),
    (items) => items.length === truth.size,
    30_000,
  );
  const uncertainties = (await queue(200)).map(({ score }) => score);
  expect(uncertainties).toEqual([...uncertainties].sort((a, b) => b - a));
  expect(await emptyQueue(truth)).toBe(2 * sentPerClass);
  const accuracy = await api.get(`/api/v1/mlops/models/${model}/production-accuracy`);
  expect(productionAccuracyViewSchema.parse(accuracy.body)).toMatchObject({ labelled: 2 * sentPerClass });

  const ingestion = acceptedSchema.parse(await (await send('/api/v1/labels/ingest', {})).json());
  expect(await api.ended(ingestion.run_id)).toMatchObject({
    status: 'completed',
    result: { version: 2, new_images: 2 * sentPerClass, statistics: { images: 2 * (perClass + sentPerClass) } },
  });
  const second = await api.startRetraining({ hyperparameters: { epochs: 3 } });
  await poll(waitingApprovals, (waiting) => waiting.length === 1, 120_000);
  const { steps } = await api.pipeline(second.run_id);
  expect(steps.find(({ name }) => name === 'check_new_data')?.detail).toMatch(/^200 of 232 images are new/);
  expect((await api.post(`/api/v1/pipelines/${second.run_id}/approve`, {})).status).toBe(200);
  expect(await api.ended(second.run_id)).toMatchObject({ status: 'completed', result: { outcome: 'promoted' } });
  const { model_version: champion } = await poll(
    async () => predict(await drawSyntheticImage('dandelion', 20_000)),
    ({ model_version: version }) => version === '2',
  );
  expect(champion).toBe('2');
}, 300_000);
