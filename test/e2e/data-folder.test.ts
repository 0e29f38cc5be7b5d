import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { predictionSchema } from '../../contracts/inference/http-predict.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { objectStoreBinary } from '../../infra/local/binaries.js';
import { recordedPorts } from '../../infra/local/stack-ports.js';
import { dataFolderEntries, platformKey } from '../../infra/setup/paths.mjs';
import { loadConfig } from '../../platform/config.js';
import { createObjectStore } from '../../stores/objects/object-store.js';
import { storageViewSchema } from '../../contracts/storage/http-storage.js';
import { featureFileKey } from '../../stores/objects/object-keys.js';
import { poll } from '../support/api-client.js';
import {
  answersSchema,
  drawnImages,
  filesOf,
  fixtureDataset,
  fixtureModel,
  fixtureSettings,
  readLists,
  recordedCommits,
  unpackDataFolder,
  type Answers,
} from '../support/recorded-data-folder.js';
import { startProduct, type RunningProduct } from '../support/running-product.js';

const models = `/api/v1/mlops/models/${fixtureModel}`;
const schedule = `/api/v1/schedules/mlops_retraining_pipeline-${fixtureModel}`;
const health = z.object({ model_version: z.string().nullable() });

/** Why a recorded folder cannot be used on this machine; null when it can. */
function reasonToSkip({ platform }: Answers): string | null {
  if (platformKey() !== platform) return `it was recorded on ${platform}, this is ${platformKey()}`;
  // The other S3 servers store objects as plain files.
  return objectStoreBinary().kind === 'minio' ? 'MinIO cannot read objects that another S3 server wrote' : null;
}

describe.each(recordedCommits())('a data folder recorded by %s', (commit) => {
  const files = filesOf(commit);
  const recorded = answersSchema.parse(JSON.parse(readFileSync(files.answers, 'utf8')));
  const reason = reasonToSkip(recorded);
  if (reason !== null) {
    it.skip(`is not started here: ${reason}`, () => undefined);
    return;
  }
  // An approval waits for a year at most.
  const whileItWaits = Date.parse(recorded.waiting.expiresAt) > Date.now() ? it : it.skip;
  let parent: string;
  let home: string;
  let product: RunningProduct;

  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), 'perennial-recorded-'));
    home = join(parent, 'home');
    await unpackDataFolder(files.archive, home);
    await chmod(home, 0o755);
    // An orphan, and objects old enough for retention whenever they were recorded.
    const orphan = join(home, 's3', 'objects', 'perennial', featureFileKey('0'.repeat(64), '0'.repeat(64)));
    await mkdir(dirname(orphan), { recursive: true });
    await writeFile(orphan, 'left over');
    const touch = ['-exec', 'touch', '-t', '202001010000', '{}', '+'];
    await promisify(execFile)('find', [join(home, 's3'), '-type', 'f', ...touch]);
    product = await startProduct({ ...fixtureSettings, DATASET_DIR: '' }, home);
    await product.settled();
  }, 180_000);

  afterAll(async () => {
    await product.stop();
    await rm(parent, { recursive: true, force: true });
  });

  it('is closed to other accounts, and its S3 server to the keys that all data folders once had', async () => {
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    const S3_ENDPOINT = `http://127.0.0.1:${recordedPorts(join(home, 'run', 'stack.json'))?.s3 ?? 0}`;
    const known = { S3_ACCESS_KEY_ID: 'perennial', S3_SECRET_ACCESS_KEY: 'perennial-local' };
    const objects = createObjectStore({ ...loadConfig(known), S3_ENDPOINT });
    await expect(objects.get('health')).rejects.toMatchObject({ code: 'object_store_refused' });
    objects.close();
  });

  it('is served at once, without a training', () => {
    expect(product.output()).toContain(`version ${recorded.prediction.model_version} is being served`);
    expect(product.output()).not.toContain('train_new_model');
  });

  it('lists everything that was recorded, in the same order', async () => {
    const lists = await readLists(product.api);
    for (const [path, ids] of Object.entries(recorded.lists)) {
      // A later release may list more, for instance another schedule.
      expect({ path, ids: lists[path]?.filter((id) => ids.includes(id)) }).toEqual({ path, ids });
    }
  });

  it('shows runs, versions, predictions and datasets as they were', async () => {
    for (const [path, body] of Object.entries(recorded.details)) {
      expect(await product.api.get(path)).toMatchObject({ status: 200, body });
    }
    expect(await product.api.get(`${models}/policy`)).toMatchObject({ status: 200, body: recorded.policy });
  });

  it('finds every object, unchanged, that a recorded prediction depends on', () => findsObjects());

  it('predicts what was recorded for the same image', async () => {
    const { status, body } = await product.api.predict(files.image);
    expect(status).toBe(200);
    const { probabilities, ...answer } = predictionSchema.parse(body);
    expect(answer).toMatchObject({
      prediction: recorded.prediction.prediction,
      model_version: recorded.prediction.model_version,
    });
    expect(Object.keys(probabilities).sort()).toEqual(Object.keys(recorded.prediction.probabilities).sort());
    for (const [label, value] of Object.entries(recorded.prediction.probabilities)) {
      // The recording release made other pixels of the same file.
      expect(Math.abs((probabilities[label] ?? NaN) - value)).toBeLessThan(0.05);
    }
  });

  it('has measured the versions of the recording release with the current pixels', async () => {
    const cardOf = async (): Promise<string> =>
      (await fetch(`${product.url}${models}/versions/@production/model-card`)).text();
    const card = await poll(cardOf, (text) => text.includes('With these pixels, on'), 120_000);
    expect(card).toContain('Accuracy before');
  });

  it('has its schedules, which Temporal stores', async () => {
    const setting = { interval_seconds: 3 * 86_400, time_zone: 'Europe/Paris', hour_window: { from: 1, to: 5 } };
    const { body } = await product.api.get(schedule);
    expect(body).toMatchObject({ paused: true, setting });
    expect(JSON.stringify(body)).toContain('The recording is over.');
    const resumed = await product.api.post(`${schedule}/resume`, {});
    expect(resumed).toMatchObject({ status: 200, body: { paused: false } });
    await product.api.post(`${schedule}/pause`, {});
  });

  whileItWaits('carries on with a promotion that waited for an approval', async () => {
    const { runId, version } = recorded.waiting;
    const answer = await product.api.post(`/api/v1/pipelines/${runId}/approve`, { comment: 'Go on.' });
    expect(answer).toMatchObject({ status: 200, body: { outcome: 'approved', version } });
    expect(await product.api.ended(runId)).toMatchObject({ status: 'completed', result: { outcome: 'promoted' } });
    await serves(version);
  });

  it('takes new images, retrains, promotes and predicts with the new version', async () => {
    const policy = { ...recorded.policy, approval: { mode: 'never' } };
    await send(`${models}/policy`, JSON.stringify(policy), 'PUT');
    const ingested = await product.api.ended(await upload(10));
    expect(ingested).toMatchObject({ status: 'completed', result: { is_new_version: true, new_images: 10 } });

    const hyperparameters = { architecture: 'cnn', filters: [8, 8, 8], epochs: 3, batch_size: 8 };
    const { run_id: runId } = await product.api.startRetraining({ hyperparameters });
    const ended = await product.api.ended(runId);
    expect(ended).toMatchObject({ status: 'completed' });
    const { outcome, version } = z.object({ outcome: z.string(), version: z.string() }).parse(ended.result);
    expect(recorded.lists[`${models}/versions`]).not.toContain(version);
    if (outcome !== 'promoted') {
      const order = { version, reason: 'It stands for a better one.', override: true };
      await send('/api/v1/mlops/models/promote', JSON.stringify(order));
    }
    await serves(version);
    const { body } = await product.api.predict(files.image);
    expect(predictionSchema.parse(body).model_version).toBe(version);
  }, 240_000);

  it('keeps every object that the recorded release refers to when retention removes orphans', async () => {
    const { body } = await product.api.post('/api/v1/pipelines/retention', { dry_run: false });
    const ended = await product.api.ended(acceptedSchema.parse(body).run_id);
    expect(ended).toMatchObject({
      status: 'completed',
      result: { orphans: [{ kind: 'features', objects: 1, bytes: 9 }] },
    });
    await findsObjects();
    expect((await product.api.predict(files.image)).status).toBe(200);
  });

  it('shows the space that each of its parts takes up', async () => {
    const storage = storageViewSchema.parse((await product.api.get('/api/v1/storage')).body);
    expect(storage.orphans).toMatchObject({ dry_run: false, items: [{ kind: 'features', objects: 1 }] });
    const used = storage.items.filter(({ bytes }) => (bytes ?? 0) > 0).map(({ kind, place }) => `${kind} ${place}`);
    expect(used).toEqual(
      expect.arrayContaining([
        ...['datasets bucket', 'bundles bucket', 'artifacts bucket', 'predictions bucket'],
        ...['predictions database', 'database database'],
        ...['bundles disk', 'database disk', 'logs disk', 'temporal disk'],
      ]),
    );
  });

  it('stops and leaves no process behind', async () => {
    expect(await product.stop()).toBe(0);
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'args=']);
    expect(stdout.split('\n').filter((line) => line.includes(home))).toEqual([]);
  });

  it('has no entry that npm run reset would leave', () => {
    expect(dataFolderEntries).toEqual(expect.arrayContaining(readdirSync(home)));
  });

  async function findsObjects(): Promise<void> {
    const path = `/api/v1/predictions/${recorded.prediction.prediction_id}`;
    const lineage = await product.api.get(`${path}/lineage?verify=full`);
    expect(lineage).toMatchObject({ status: 200, body: { verified: true } });
    const input = await fetch(`${product.url}${path}/input`);
    expect(Buffer.from(await input.arrayBuffer()).equals(await readFile(files.image))).toBe(true);
  }

  async function serves(version: string): Promise<void> {
    await poll(
      async () => health.parse((await product.api.get('/health')).body),
      ({ model_version: served }) => served === version,
      60_000,
    );
  }

  async function send(path: string, body: string, method = 'POST'): Promise<void> {
    const headers = { 'content-type': 'application/json', 'idempotency-key': `${method}-once` };
    const response = await fetch(product.url + path, { method, headers, body });
    if (!response.ok) throw new Error(await response.text());
  }

  async function upload(count: number): Promise<string> {
    const path = `/api/v1/datasets/${fixtureDataset}/images`;
    const body = await drawnImages('grass', 80_000, count);
    const response = await fetch(product.url + path, { method: 'POST', body });
    return acceptedSchema.parse(await response.json()).run_id;
  }
});
