import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { healthSchema } from '../../contracts/http/health.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { objectStoreBinary } from '../../infra/local/binaries.js';
import { platformKey } from '../../infra/setup/paths.mjs';
import { poll } from '../support/api-client.js';
import {
  answersSchema,
  drawnImages,
  filesOf,
  fixtureDataset,
  fixtureSettings,
  recordedCommits,
  unpackDataFolder,
} from '../support/recorded-data-folder.js';
import { startProduct, type RunningProduct } from '../support/running-product.js';
import { mountDisk } from '../support/small-disk.js';

/** How long the disk stays full; FULL_DISK_SECONDS=300 covers a checkpoint of Postgres too. */
const fullMs = Number(process.env['FULL_DISK_SECONDS'] ?? 20) * 1_000;
const upload = `/api/v1/datasets/${fixtureDataset}/images`;

const [commit = ''] = recordedCommits();
const files = filesOf(commit);
const { platform } = answersSchema.parse(JSON.parse(readFileSync(files.answers, 'utf8')));
const disk = await mountDisk('420m');
const reason =
  disk.reason ??
  (platformKey() === platform && objectStoreBinary().kind !== 'minio'
    ? null
    : 'the recorded data folder is of another platform or S3 server');

const title = `a stack on a disk of 420 MB${reason === null ? '' : `, which is not tested here: ${reason}`}`;
(reason === null ? describe : describe.skip)(title, () => {
  const home = join(disk.folder, 'home');
  let product: RunningProduct;

  beforeAll(async () => {
    await unpackDataFolder(files.archive, home);
    product = await startProduct({ ...fixtureSettings, DATASET_DIR: '' }, home);
    await product.settled();
  }, 180_000);
  afterAll(async () => {
    await product.stop();
    await disk.unmount();
  });

  const sendImage = async (from: number): Promise<Response> =>
    fetch(`${product.url}${upload}`, { method: 'POST', body: await drawnImages('grass', from, 1) });

  it('ends an upload that would fill the disk, while predictions continue', async () => {
    const answer = await fetch(`${product.url}${upload}`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      body: hugeForm(),
      duplex: 'half',
    });
    expect(answer.status).toBe(507);
    expect((await product.api.predict(files.image)).status).toBe(200);
  }, 60_000);

  it(
    'answers predictions and refuses uploads and runs while the disk is full, and nothing ends',
    async () => {
      const until = Date.now() + fullMs;
      const statuses = new Set<number>();
      while (Date.now() < until) {
        await disk.fill();
        statuses.add((await product.api.predict(files.image)).status);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect([...statuses]).toEqual([200]);
      expect((await sendImage(90_001)).status).toBe(507);
      const retraining = await product.api.post('/api/v1/pipelines/retraining', {});
      expect(retraining).toMatchObject({ status: 507, body: { code: 'insufficient_storage' } });
      expect((await product.api.get('/health/ready')).status).toBe(200);
      const { status, dependencies } = healthSchema.parse((await product.api.get('/health')).body);
      expect([status, dependencies['storage']?.status]).toEqual(['degraded', 'down']);
      expect(product.output()).not.toMatch(/ (?:ended with code|was ended by) /);
    },
    60_000 + fullMs,
  );

  it('continues everything when there is space again, without a restart', async () => {
    await disk.free();
    let response = await sendImage(90_001);
    // The free space is remembered for a second.
    for (let tries = 0; response.status === 507 && tries < 100; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      response = await sendImage(90_001);
    }
    const { run_id: runId } = acceptedSchema.parse(await response.json());
    expect(await product.api.ended(runId)).toMatchObject({ status: 'completed', result: { new_images: 1 } });
    expect((await product.api.predict(files.image)).status).toBe(200);
    // Each dependency is probed every two seconds at most.
    await poll(
      async () => healthSchema.parse((await product.api.get('/health')).body),
      ({ status }) => status === 'healthy',
    );
  }, 60_000);

  it('stops on a full disk and leaves no process behind', async () => {
    await disk.fill();
    expect(await product.stop()).toBe(0);
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'args=']);
    expect(stdout.split('\n').filter((line) => line.includes(home))).toEqual([]);
  }, 60_000);
});

/**
 * The first gigabyte of a form, in chunks, so that its length is not known before. It has an end, because the client reads
 * on when the connection is gone, without a pause.
 */
function hugeForm(): ReadableStream<Uint8Array> {
  const file = 'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n';
  const part = Buffer.concat([Buffer.from(`--b\r\n${file}`), Buffer.alloc(10_000_000), Buffer.from('\r\n')]);
  let left = 100;
  return new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(new Uint8Array(part));
      else controller.close();
    },
  });
}
