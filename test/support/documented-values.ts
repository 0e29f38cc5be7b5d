import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { drawSyntheticImage } from '../../model/images/synthetic.js';
import { poll, type ApiClient } from './api-client.js';
import { waitingApprovals, type DocumentedStack } from './documented-stack.js';
import { formWith } from './served-api.js';

/** Text of a page for something that only a running stack can name. It is looked up when the page comes to it. */
export interface Placeholder {
  page: string;
  text: string;
  value(stack: DocumentedStack): Promise<string> | string;
}

const model = '/api/v1/mlops/models/dandelion_grass_classifier';
const flowers = '/api/v1/datasets/flowers';

/** By page: the text on it, and what the stack has for it. */
const placeholdersOf: Record<string, Record<string, Placeholder['value']>> = {
  'docs/datasets.md': {
    '/data/': ({ folder }) => join(folder, 'data/'),
    'run_id=…&reason=truncated': async (stack) =>
      `run_id=${(await refusedUpload(stack)).run_id}&reason=unsupported_type`,
    '/uploads/<upload_id>/files/<position>': async (stack) =>
      (await refusedUpload(stack)).file_url?.slice(flowers.length) ?? '',
    'sources/7': async (stack) => `sources/${await sourceOf(stack, '/flowers')}`,
    '"replaces": 8': async (stack) => `"replaces": ${await sourceOf(stack, '/presplit')}`,
    '37ae9d0e…': async ({ folder }) => sha256(await readFile(join(folder, 'data/flowers-2026/dandelion/200.jpg'))),
    'http://127.0.0.1:38305': ({ stack }) => stack.environment['S3_ENDPOINT'] ?? '',
  },
  'docs/labels.md': { '01a1fea1-eb75-7000-9934-6f58cf585226': async ({ api }) => (await queued(api))[0] ?? '' },
  'docs/predictions.md': { '"prediction_id": "…"': async (stack) => `"prediction_id": "${await predict(stack)}"` },
  'docs/promotion.md': {
    'versions/7': () => 'versions/3',
    '"version": 7': () => '"version": 3',
    '<run_id>': async ({ api }) => basename((await waitingApprovals(api))[0] ?? ''),
  },
  'docs/registry.md': {
    '"3.1"': async ({ stack }) => (await fetch(`${stack.apiUrl}${model}/versions/3`)).headers.get('etag') ?? '',
    '2026-11-21T11:28:37.190Z': () => new Date().toISOString(),
  },
  'docs/serving.md': {
    'pictures.example': ({ picturesHost }) => picturesHost,
    '"image":"…"': async ({ folder }) => `"image":"${await readFile(join(folder, 'b.jpg'), 'base64')}"`,
  },
};

export const placeholders: readonly Placeholder[] = Object.entries(placeholdersOf).flatMap(([page, values]) =>
  Object.entries(values).map(([text, value]) => ({ page, text, value })),
);

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const sources = z.object({ items: z.array(z.object({ id: z.number(), locator: z.string() })) });

/** The number of the source whose address ends like this. */
async function sourceOf({ api }: DocumentedStack, end: string): Promise<string> {
  const { items } = sources.parse((await api.get(`${flowers}/sources`)).body);
  return String(items.find(({ locator }) => locator.endsWith(end))?.id);
}

const refusals = z.object({ items: z.array(z.object({ run_id: z.string(), file_url: z.string().nullable() })) });

/** An uploaded file in the quarantine; the first call uploads it, beside one that is taken. */
async function refusedUpload({
  api,
  stack,
}: Pick<DocumentedStack, 'api' | 'stack'>): Promise<z.infer<typeof refusals>['items'][number]> {
  const { items } = refusals.parse((await api.get(`${flowers}/quarantine`)).body);
  const uploaded = items.find(({ file_url }) => file_url !== null);
  if (uploaded) return uploaded;
  const form = formWith('files', await drawSyntheticImage('grass', 900));
  form.append('files', new Blob(['No image.']), 'torn.jpg');
  form.append('label', 'grass');
  const response = await fetch(`${stack.apiUrl}${flowers}/images`, { method: 'POST', body: form });
  await api.ended(acceptedSchema.parse(await response.json()).run_id);
  return refusedUpload({ api, stack });
}

/** Sends an image that was not sent before, and returns the id of its prediction. */
async function predict({ stack }: DocumentedStack): Promise<string> {
  const image = await drawSyntheticImage('grass', Date.now() % 1_000_000_000);
  const response = await fetch(`${stack.apiUrl}/predict`, { method: 'POST', body: formWith('file', image) });
  return z.object({ prediction_id: z.string() }).parse(await response.json()).prediction_id;
}

const queue = z.object({ items: z.array(z.object({ prediction_id: z.string() })) });

/** Ids of the predictions that wait for a label. */
async function queued(api: ApiClient): Promise<string[]> {
  const { items } = queue.parse((await api.get('/api/v1/labels/queue')).body);
  return items.map(({ prediction_id }) => prediction_id);
}

/** What a page expects when a reader comes to it. */
export const situations: Readonly<Record<string, (stack: DocumentedStack) => Promise<void>>> = {
  'docs/labels.md': async (stack) => {
    await setPolicy(stack, { serving: { keep_inputs: 'all' } });
    const sendOne = async (): Promise<string[]> => {
      await predict(stack);
      return queued(stack.api);
    };
    await poll(sendOne, (ids) => ids.length > 0, 60_000);
  },
  'docs/promotion.md': async (stack) => {
    await serve(stack, '1');
    await setPolicy(stack, { approval: { mode: 'always' } });
  },
  'docs/registry.md': (stack) => serve(stack, '2'),
  'docs/storage.md': async ({ api }) => {
    const { run_id } = acceptedSchema.parse((await api.post('/api/v1/pipelines/retention', {})).body);
    expect(await api.ended(run_id)).toMatchObject({ status: 'completed' });
  },
};

/** Brings a version back that has served before. */
async function serve({ api }: DocumentedStack, version: string): Promise<void> {
  const served = z.object({ model_version: z.string() }).parse((await api.get('/health')).body);
  if (served.model_version === version) return;
  const rollback = await api.post(`${model}/rollback`, { version: Number(version), reason: 'the page expects it' });
  expect(rollback).toMatchObject({ status: 200 });
}

async function setPolicy({ stack }: DocumentedStack, policy: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(policy);
  expect((await fetch(`${stack.apiUrl}${model}/policy`, { method: 'PUT', headers, body })).status).toBe(200);
}
