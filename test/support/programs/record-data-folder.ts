import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { z } from 'zod';
import { predictionSchema } from '../../../contracts/inference/http-predict.js';
import { gitRevision } from '../../../infra/local/program-specs.js';
import { platformKey } from '../../../infra/setup/paths.mjs';
import { drawSyntheticImage, type SyntheticLabel } from '../../../model/images/synthetic.js';
import { poll } from '../api-client.js';
import {
  answersSchema,
  archiveDataFolder,
  drawnImages,
  filesOf,
  fixtureDataset,
  fixtureModel,
  fixtureSettings,
  readLists,
} from '../recorded-data-folder.js';
import { startProduct } from '../running-product.js';
import { formWith } from '../served-api.js';

/**
 * Records a data folder with the code of this checkout, for `test/e2e/data-folder.test.ts`:
 * `node dist/test/support/programs/record-data-folder.js`. `test/fixtures/data-folder/README.md` says when.
 */
const perClass = 30;
const models = `/api/v1/mlops/models/${fixtureModel}`;
const tiny = { architecture: 'cnn', filters: [8, 8, 8], epochs: 25, batch_size: 8, learning_rate: 0.01 };
const policy = {
  approval: { mode: 'never', expires_after_hours: 8760 },
  guard: { minutes: 0 },
  retention: { versions: 100, prediction_days: 3650 },
  serving: { keep_inputs: 'all', input_days: 3650 },
};

const home = await mkdtemp(join(tmpdir(), 'recorded-'));
const noImages = await mkdtemp(join(tmpdir(), 'no-images-'));
// An empty DATASET_DIR: the first run fails, so that no model of the large default architecture is trained.
const product = await startProduct({ ...fixtureSettings, DATASET_DIR: noImages, PROMOTION_MIN_ACCURACY: '0.5' }, home);
const { api, url } = product;
// A recording that fails must not leave a product behind.
const stopNow = (): boolean => process.kill(product.pid, 'SIGTERM');
process.on('exit', stopNow);
await product.settled();
const database = await openDatabase();

await send(`${models}/policy`, policy, 'PUT');
await upload('dandelion', 0, perClass);
await upload('grass', 0, perClass);
await upload('dandelion', perClass, 8);
const first = await finished(await api.startRetraining({ hyperparameters: tiny }));
if (!JSON.stringify(first).includes('"outcome":"promoted"')) {
  await send('/api/v1/mlops/models/promote', { version: 1, reason: 'The first one to serve.', override: true });
}
await product.served();
// The policy is read every few seconds; images of earlier predictions would not be captured.
await sleep(6_000);

// The least certain of some: probabilities of 0 and 1 would hide a small change in how images are prepared.
const candidates = await Promise.all(
  Array.from({ length: 24 }, (_, index) => drawSyntheticImage('grass', 90_000 + index)),
);
const answered: { image: Buffer; prediction: z.infer<typeof predictionSchema> }[] = [];
for (const image of candidates) answered.push({ image, prediction: await predict(image) });
const [least] = answered.sort((one, other) => one.prediction.confidence - other.prediction.confidence);
if (least === undefined) throw new Error('no image was predicted');
const { image, prediction } = least;
await imageKept(prediction.prediction_id);
const others: string[] = [];
for (let index = 0; index < 6; index++) {
  const label = index % 2 === 0 ? 'dandelion' : 'grass';
  const { prediction_id: id } = await predict(await drawSyntheticImage(label, 70_000 + index));
  others.push(id);
  if (index < 3) await send('/feedback', { prediction_id: id, label, comment: `image ${index}` });
  if (index === 3) {
    await imageKept(id);
    await send('/api/v1/labels', { prediction_id: id, label });
  }
}
await send('/api/v1/erasures', { kind: 'prediction', id: others.at(-1), reason: 'It shows a garden.' });
await predicted({ source: { kind: 'dataset', dataset: fixtureDataset } });
// With new images, so that the promotion gate does not refuse the version as unchanged.
await upload('grass', perClass, 6);
const space = {
  architecture: ['cnn'],
  filters: [tiny.filters],
  batch_size: [8],
  learning_rate: { min: 0.008, max: 0.012 },
};
const budget = { trials: 2, min_epochs: 1, max_epochs: 20 };
await finished(await send('/api/v1/pipelines/tuning', { space, budget }));

const runs = await api.get(`/api/v1/experiments/${fixtureModel}/runs`);
const [run] = z.object({ items: z.array(z.object({ run_id: z.string() })).min(1) }).parse(runs.body).items;
const runPath = `/api/v1/experiments/${fixtureModel}/runs/${run?.run_id ?? ''}`;
await send(runPath, { name: 'the tiny one', tags: { meadow: 'north', season: 'spring' } }, 'PATCH');
await send('/api/v1/experiments', { name: 'meadows', description: 'Small networks', tags: { team: 'botany' } });
await send(`${models}/versions/2`, { description: 'From a search', tags: { reviewed: 'yes' } }, 'PATCH');
await send(`${models}/aliases/challenger`, { version: 2 }, 'PUT');
await send('/api/v1/mlops/retraining/schedule', {
  every_days: 3,
  hour_window: { from: 1, to: 5 },
  time_zone: 'Europe/Paris',
});
const schedules = z.object({ items: z.array(z.object({ id: z.string() })) });
// Paused, so that none is due while a test reads the lists, whenever that is.
for (const { id } of schedules.parse((await api.get('/api/v1/schedules')).body).items) {
  await send(`/api/v1/schedules/${id}/pause`, { reason: 'The recording is over.' });
}
const patient = { ...policy, approval: { ...policy.approval, mode: 'always' } };
await send(`${models}/policy`, patient, 'PUT');
await finished(await send(`${models}/versions/2/validate`, {}));
await send('/api/v1/mlops/models/promote', { version: 2, reason: 'It came from a search.' });
const approvals = z.object({
  items: z.array(z.object({ id: z.string(), pipeline_url: z.string(), version: z.string(), expires_at: z.string() })),
});
const { items } = await poll(
  async () => approvals.parse((await api.get('/api/v1/approvals?outcome=waiting')).body),
  (page) => page.items.length === 1,
);
// Predictions and attempts are written in batches.
await sleep(3_000);

const details: Record<string, unknown> = {};
for (const path of [
  runPath,
  `${models}/versions/1`,
  `${models}/versions/2`,
  `/api/v1/predictions/${prediction.prediction_id}`,
  `/api/v1/predictions/${others[0] ?? ''}`,
  `/api/v1/datasets/${fixtureDataset}`,
  `/api/v1/datasets/${fixtureDataset}/versions/2`,
]) {
  details[path] = lasting((await api.get(path)).body);
}
const [waiting] = items;
const answers = answersSchema.parse({
  commit: gitRevision(),
  recordedAt: new Date().toISOString(),
  platform: platformKey(),
  postgres: (await readFile(join(home, 'postgres/data/PG_VERSION'), 'utf8')).trim(),
  prediction,
  lists: await readLists(api),
  details,
  policy: (await api.get(`${models}/policy`)).body,
  waiting: {
    runId: waiting?.pipeline_url.split('/').at(-1),
    version: waiting?.version,
    expiresAt: waiting?.expires_at,
  },
});
await database.close();
await product.stop();
process.off('exit', stopNow);
const files = filesOf(answers.commit);
await mkdir(files.folder);
await archiveDataFolder(home, files.archive);
await writeFile(files.answers, `${JSON.stringify(answers, null, 2)}\n`);
await writeFile(files.image, image);
await Promise.all([home, noImages].map((folder) => rm(folder, { recursive: true })));

async function send(path: string, body: unknown, method = 'POST'): Promise<unknown> {
  const response = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json', 'x-actor': 'ada', 'idempotency-key': randomUUID() },
    body: JSON.stringify(body),
  });
  const answer: unknown = await response.json();
  console.log(`${method} ${path} ${response.status}`);
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}

/** Without the addresses of a service that listens on another port at the next start. */
function lasting(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body, (key, value: unknown) => (key === 'temporal_url' ? undefined : value)));
}

async function finished(accepted: unknown): Promise<unknown> {
  const { run_id: id } = z.object({ run_id: z.string() }).parse(accepted);
  const ended = await api.ended(id, 300_000);
  console.log(ended.workflow, ended.status, JSON.stringify(ended.result).slice(0, 300));
  if (ended.status !== 'completed') throw new Error(JSON.stringify(ended));
  return ended.result;
}

/** Resolves when the image of a prediction is stored, which happens after the answer. */
async function imageKept(id: string): Promise<void> {
  await poll(
    async () => z.object({ input: z.unknown() }).parse((await api.get(`/api/v1/predictions/${id}`)).body),
    ({ input }) => input !== null,
  );
}

async function predicted(body: unknown): Promise<void> {
  const accepted = await send('/api/v1/batch-predictions', body);
  const { status_url: status } = z.object({ status_url: z.string() }).parse(accepted);
  await poll(
    async () => z.object({ status: z.string() }).parse((await api.get(status)).body),
    (job) => job.status === 'completed',
    60_000,
  );
}

async function upload(label: SyntheticLabel, from: number, count: number): Promise<void> {
  const body = await drawnImages(label, from, count);
  const response = await fetch(`${url}/api/v1/datasets/${fixtureDataset}/images`, { method: 'POST', body });
  await finished(await response.json());
}

async function predict(bytes: Buffer): Promise<z.infer<typeof predictionSchema>> {
  const response = await fetch(`${url}/predict`, { method: 'POST', body: formWith('file', bytes) });
  return predictionSchema.parse(await response.json());
}

/** Limits the size of the write-ahead log: old segments are removed, not recycled, and the last segment is nearly empty. */
async function openDatabase(): Promise<{ close(): Promise<void> }> {
  const ports = z.object({ postgres: z.number() });
  const { postgres: port } = ports.parse(JSON.parse(await readFile(join(home, 'run/stack.json'), 'utf8')));
  const password = (await readFile(join(home, 'postgres/password'), 'utf8')).trim();
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database: 'perennial' });
  await client.connect();
  const all = async (...statements: string[]): Promise<void> => {
    for (const statement of statements) await client.query(statement);
  };
  await all('ALTER SYSTEM SET wal_recycle = off', 'SELECT pg_reload_conf()');
  return {
    async close() {
      await all('VACUUM', 'ALTER SYSTEM RESET wal_recycle', 'SELECT pg_switch_wal()', 'CHECKPOINT');
      await client.end();
    },
  };
}
