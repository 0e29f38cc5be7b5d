import { request } from 'node:http';
import { z } from 'zod';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { healthSchema } from '../../../../contracts/http/health.js';
import { poll } from '../../../support/api-client.js';
import { postRaw } from '../../../support/raw-request.js';
import { formWith, problemOf, redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';
import { mountDisk } from '../../../support/small-disk.js';

const full = { status: 507, code: 'insufficient_storage' };

let postgres: TestService;
let objectStore: TestService;
beforeAll(async () => {
  [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
}, 60_000);
afterAll(() => Promise.all([postgres.stop(), objectStore.stop()]));

async function startServing(settings: Record<string, string>, parent?: string): Promise<ServedApi> {
  const served = await startApi({ ...postgres.environment, ...objectStore.environment, ...settings }, parent);
  const version = await served.registerTiny();
  await served.promote(version);
  await serves(served, version);
  return served;
}

/** Any disk has less free space than this setting asks for. */
describe('an API whose disk has less free space than MIN_FREE_BYTES', () => {
  let served: ServedApi;
  beforeAll(async () => {
    served = await startServing({ MIN_FREE_BYTES: String(2 ** 52) });
  }, 60_000);
  afterAll(() => served.stop());

  it.each(['/api/v1/datasets/flowers/images', '/api/v1/batch-predictions/uploads', '/api/v1/mlops/models/register'])(
    'refuses POST %s before its body is sent',
    async (path) => {
      // Only the head is sent: the answer does not wait for the body.
      const answer = await new Promise<string>((resolve, reject) => {
        const headers = { 'content-type': 'multipart/form-data; boundary=b', 'content-length': 50_000_000 };
        const sent = request(`${served.url}${path}`, { method: 'POST', headers }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
            resolve(text);
            sent.destroy();
          });
        });
        sent.on('error', reject).flushHeaders();
      });
      const problem = problemSchema.parse(JSON.parse(answer));
      expect(problem).toMatchObject({ ...full, retry_after_seconds: 30 });
      expect(problem.detail).toMatch(/has [\d.]+ [MG]B free; .*MIN_FREE_BYTES/);
    },
  );

  it.each([
    ['/api/v1/pipelines/ingestion', { dataset: 'flowers', source: { kind: 'synthetic' } }],
    ['/api/v1/pipelines/retraining', {}],
    ['/api/v1/pipelines/tuning', {}],
    ['/api/v1/mlops/retraining/trigger/dandelion_grass_classifier', { force: true }],
    ['/api/v1/labels/ingest', {}],
    ['/api/v1/batch-predictions', { source: { kind: 'prefix', prefix: 'photographs/' } }],
  ])('refuses POST %s', async (path, body) => {
    await served.api.objects.put('photographs/one.png', await redImage());
    const { status, body: text } = await postRaw(`${served.url}${path}`, { 'content-type': 'application/json' }, [
      JSON.stringify(body),
    ]);
    expect({ path, status, code: z.object({ code: z.string() }).parse(JSON.parse(text)).code }).toEqual({
      path,
      ...full,
    });
  });

  it('answers predictions, and stays ready', async () => {
    const response = await fetch(`${served.url}/predict`, {
      method: 'POST',
      body: formWith('file', await redImage()),
    });
    expect(response.status).toBe(200);
    expect((await fetch(`${served.url}/health/ready`)).status).toBe(200);
  });

  it('shows its free space in /health and in the metrics', async () => {
    const health = healthSchema.parse(await (await fetch(`${served.url}/health`)).json());
    expect(health.status).toBe('degraded');
    expect(health.dependencies['storage']).toMatchObject({ status: 'down' });
    expect(health.dependencies['storage']?.detail).toMatch(/has [\d.]+ [MG]B free/);
    const metrics = await (await fetch(`${served.url}/metrics`)).text();
    expect(metrics).toMatch(/mlops_storage_free_bytes \d+/);
    expect(metrics).toContain(`mlops_storage_min_free_bytes ${2 ** 52}`);
    expect(metrics).toMatch(/mlops_storage_refusals_total\{use="upload"\} [3-9]/);
    expect(metrics).toMatch(/mlops_storage_refusals_total\{use="run"\} [6-9]/);
  });
});

describe('an API with enough free space', () => {
  it('shows the figure in /health', async () => {
    const served = await startServing({ MIN_FREE_BYTES: '1' });
    const { dependencies } = healthSchema.parse(await (await fetch(`${served.url}/health`)).json());
    expect(dependencies['storage']).toMatchObject({ status: 'up' });
    expect(dependencies['storage']?.detail).toMatch(/[\d.]+ [MG]B free/);
    await served.stop();
  }, 60_000);
});

const disk = await mountDisk('64m');
(disk.reason === null ? describe : describe.skip)('an API on a small disk', () => {
  let served: ServedApi;
  beforeAll(async () => {
    served = await startServing({ MIN_FREE_BYTES: '16000000' }, disk.folder);
  }, 60_000);
  afterAll(async () => {
    await served.stop();
    await disk.unmount();
  });
  afterEach(() => disk.free());
  const upload = async (): Promise<Response> =>
    fetch(`${served.url}/api/v1/batch-predictions/uploads`, {
      method: 'POST',
      body: formWith('files', await redImage()),
    });

  it('takes uploads again as soon as it has space, without a restart', async () => {
    expect((await upload()).status).toBe(201);
    await disk.fill();
    expect(await problemOf(await upload())).toEqual(full);
    await disk.free();
    // The free space is remembered for a second.
    const { status } = await poll(upload, (response) => response.status !== 507);
    expect(status).toBe(201);
  }, 60_000);
});
