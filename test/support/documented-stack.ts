import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { drawSyntheticImage } from '../../model/images/synthetic.js';
import { loadConfig } from '../../platform/config.js';
import { createObjectStore } from '../../stores/objects/object-store.js';
import { createApiClient, poll, type ApiClient } from './api-client.js';
import { zipOf } from './archives.js';
import { drawnImages } from './drawn-images.js';
import { writeFolder } from './ingestion-fixture.js';
import { startStack, type TestStack } from './stack.js';
import { colourLogits } from './tiny-graph.js';

/** A running stack with a model in Production, and everything that the commands of the documentation name. */
export interface DocumentedStack {
  stack: TestStack;
  api: ApiClient;
  /** The folder that commands run in, with their files and the source folders below `data/`. */
  folder: string;
  /** The host that serves the images of the folder. */
  picturesHost: string;
  stop(): Promise<void>;
}

/** Enough for a dataset that can be trained on. */
const perClass = 20;
const names = ['flower.jpg', 'photo.jpg', 'a.jpg', 'b.jpg', 'one.jpg', 'two.jpg'];

export async function startDocumentedStack(): Promise<DocumentedStack> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-test-documents-'));
  writeFolder(folder, await filesOfCommands());
  const pictures = servePictures(folder);
  await once(pictures.server, 'listening');
  const stack = await startStack({
    DATASET_DIR: join(folder, 'data', 'own'),
    IMAGE_URL_HOSTS: pictures.host(),
    // A busy machine must refuse neither a command nor a version.
    SERVING_LATENCY_TARGET_MS: '0',
    PROMOTION_MAX_P95_MS: '60000',
  });
  const api = createApiClient(stack.apiUrl);
  await storeObjects(stack.environment);
  await serveTwoVersions(api);
  return {
    stack,
    api,
    folder,
    picturesHost: pictures.host(),
    async stop() {
      await stack.stop();
      pictures.server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Version 1, which has hardly learnt anything and is promoted nevertheless, and version 2, which replaces it. */
async function serveTwoVersions(api: ApiClient): Promise<void> {
  const trainings = [
    { source: { kind: 'default' }, hyperparameters: { epochs: 1, learning_rate: 0.00001 } },
    { hyperparameters: { epochs: 15, learning_rate: 0.01 } },
  ];
  for (const [index, training] of trainings.entries()) {
    const { run_id } = await api.startRetraining(training);
    expect(await api.ended(run_id)).toMatchObject({ result: { outcome: index === 0 ? 'refused' : 'promoted' } });
    if (index > 0) continue;
    const promotion = { version: 1, reason: 'the first one', override: true };
    expect((await api.post('/api/v1/mlops/models/promote', promotion)).status).toBe(200);
  }
}

async function filesOfCommands(): Promise<Record<string, Uint8Array | string>> {
  const files: Record<string, Uint8Array | string> = { 'notes.txt': 'No image.' };
  for (const [index, name] of names.entries()) files[name] = await drawSyntheticImage('dandelion', 1_000 + index);
  const photos = Object.entries(await drawnImages(2, 2_000)).map(([name, content]) => ({ name, content }));
  const folders = { own: await drawnImages(perClass), ...(await foldersOfFlowers()) };
  for (const [name, images] of Object.entries(folders)) {
    for (const [path, image] of Object.entries(images)) files[`data/${name}/${path}`] = image;
  }
  return { ...files, 'photos.zip': zipOf(photos), 'classifier.onnx': colourLogits() };
}

async function foldersOfFlowers(): Promise<Record<string, Record<string, Uint8Array | string>>> {
  const flowers = await drawnImages(perClass, 100);
  const moved = await drawnImages(perClass, 200);
  const sides = ['train', 'val', 'test'];
  const presplit = await Promise.all(sides.map((_, index) => drawnImages(2, 300 + 10 * index)));
  return {
    // One file is refused, and one image is under two labels.
    flowers: { ...flowers, 'grass/torn.jpg': 'No image.', 'grass/same.jpg': flowers['dandelion/101.jpg'] ?? '' },
    'flowers-2026': moved,
    presplit: Object.fromEntries(
      presplit.flatMap((images, index) =>
        Object.entries(images).map(([path, image]) => [`${sides[index] ?? ''}/${path}`, image]),
      ),
    ),
  };
}

/** What the commands find below the prefixes that they name. */
async function storeObjects(environment: Record<string, string>): Promise<void> {
  const objects = createObjectStore({ ...loadConfig(environment), S3_ENDPOINT: environment['S3_ENDPOINT'] ?? '' });
  for (const [path, image] of Object.entries(await drawnImages(1, 400))) {
    for (const prefix of ['flowers', '2026-05']) await objects.put(`incoming/${prefix}/${path}`, image, 'image/jpeg');
  }
  objects.close();
}

function servePictures(folder: string): { server: Server; host: () => string } {
  const server = createServer((request, response) => {
    void readFile(join(folder, basename(request.url ?? ''))).then((image) => response.end(image));
  }).listen(0, '127.0.0.1');
  const address = z.object({ port: z.number() });
  return { server, host: () => `127.0.0.1:${String(address.parse(server.address()).port)}` };
}

const runSchema = z.object({ status: z.string(), error: z.unknown() });

/** Waits until the run or job at this address has ended, or waits for a person; returns the error of one that failed. */
export async function settled({ api }: DocumentedStack, url: string): Promise<unknown> {
  const { status, error } = await poll(
    async () => {
      const run = runSchema.parse((await api.get(url)).body);
      const waits = run.status === 'running' && (await waitingApprovals(api)).includes(url);
      return waits ? { status: 'completed', error: null } : run;
    },
    (run) => run.status !== 'running' && run.status !== 'waiting',
    120_000,
  );
  return status === 'completed' ? null : { url, status, error };
}

/** Addresses of the runs that have not ended. */
export async function openRuns(api: ApiClient): Promise<string[]> {
  const runs = z.object({ items: z.array(z.object({ id: z.string() })) });
  const { body } = await api.get('/api/v1/pipelines?status=running');
  return runs.parse(body).items.map(({ id }) => `/api/v1/pipelines/${id}`);
}

/** Pauses what a page has resumed: a run that is due would disturb other pages. */
export async function pauseSchedules({ api }: DocumentedStack): Promise<void> {
  const schedules = z.object({ items: z.array(z.object({ id: z.string(), paused: z.boolean() })) });
  const { items } = schedules.parse((await api.get('/api/v1/schedules')).body);
  for (const { id } of items.filter(({ paused }) => !paused)) await api.post(`/api/v1/schedules/${id}/pause`, {});
}

/** Addresses of the runs that wait for an approval. */
export async function waitingApprovals(api: ApiClient): Promise<string[]> {
  const approvals = z.object({ items: z.array(z.object({ pipeline_url: z.string() })) });
  const { body } = await api.get('/api/v1/approvals?outcome=waiting');
  return approvals.parse(body).items.map(({ pipeline_url }) => pipeline_url);
}
