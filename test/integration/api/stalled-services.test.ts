import { healthSchema } from '../../../contracts/http/health.js';
import { problemSchema } from '../../../contracts/http/problem.js';
import { poll } from '../../support/api-client.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from '../../support/services.js';
import { formWith, redImage, startApi, type ServedApi } from '../../support/served-api.js';
import { startStallingProxy, type StallingProxy } from '../../support/stalling-proxy.js';

/** Far above the shortened time limits, and far below the 90 s that a stalled S3 server once took. */
const boundMs = 15_000;

let services: TestService[];
let proxies: Record<'postgres' | 'objects' | 'temporal', StallingProxy>;
let served: ServedApi;
beforeAll(async () => {
  const [postgres, objects, temporal] = await Promise.all([startPostgres(), startObjectStore(), startTemporal()]);
  services = [postgres, objects, temporal];
  const database = new URL(postgres.url);
  proxies = {
    postgres: await startStallingProxy(database.host),
    objects: await startStallingProxy(new URL(objects.endpoint).host),
    temporal: await startStallingProxy(temporal.address),
  };
  database.host = proxies.postgres.address;
  served = await startApi({
    ...objects.environment,
    DATABASE_URL: database.href,
    S3_ENDPOINT: `http://${proxies.objects.address}`,
    TEMPORAL_ADDRESS: proxies.temporal.address,
    S3_TIMEOUT_MS: '1000',
    DATABASE_TIMEOUT_MS: '1000',
  });
  const version = await served.registerTiny();
  await served.promote(version);
}, 60_000);
afterAll(async () => {
  for (const proxy of Object.values(proxies)) proxy.resume();
  await served.stop();
  await Promise.all(Object.values(proxies).map((proxy) => proxy.stop()));
  await Promise.all(services.map((service) => service.stop()));
});

const json = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

async function upload(): Promise<RequestInit> {
  const body = formWith('files', await redImage());
  body.set('label', 'grass');
  return { method: 'POST', body };
}

/** The answer while the service is stalled, which must come within the bound. */
async function whileStalled(service: keyof typeof proxies, path: string, init: RequestInit = {}): Promise<Response> {
  proxies[service].stall();
  try {
    return await fetch(`${served.url}${path}`, { ...init, signal: AbortSignal.timeout(boundMs) });
  } finally {
    proxies[service].resume();
  }
}

async function expectUnavailable(response: Response, code: string): Promise<void> {
  expect(problemSchema.parse(await response.json())).toMatchObject({ status: 503, code });
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
}

describe('an S3 server that accepts requests and does not answer', () => {
  it.each<[string, () => RequestInit | Promise<RequestInit>]>([
    ['/api/v1/datasets/flowers/images', upload],
    ['/api/v1/batch-predictions', () => json({ source: { kind: 'prefix', prefix: 'pictures/' } })],
    ['/api/v1/mlops/models/dandelion_grass_classifier/versions/1/model-card', () => ({})],
  ])('%s answers 503 in time', async (path, init) => {
    await expectUnavailable(await whileStalled('objects', path, await init()), 'object_store_unavailable');
  });

  it('takes the upload again once it answers', async () => {
    const response = await fetch(`${served.url}/api/v1/datasets/flowers/images`, await upload());
    expect(response.status).toBe(202);
  });
});

describe('a Postgres that accepts statements and does not answer', () => {
  it.each<[string, RequestInit]>([
    ['/api/v1/datasets', {}],
    ['/api/v1/erasures', json({ kind: 'dataset', id: 'flowers', reason: 'asked' })],
    ['/api/v1/mlops/retraining/trigger/dandelion_grass_classifier', json({})],
  ])('%s answers 503 in time', async (path, init) => {
    await expectUnavailable(await whileStalled('postgres', path, init), 'database_unavailable');
    // A pooled connection may not have noticed yet that the proxy closed it.
    await poll(
      () =>
        served.api.database.query('SELECT 1').then(
          () => true,
          () => false,
        ),
      (answers) => answers,
      boundMs,
    );
  });
});

describe('a Temporal server that accepts requests and does not answer', () => {
  it.each<[string, RequestInit]>([
    ['/api/v1/pipelines/ingestion', json({ source: { kind: 'synthetic' } })],
    ['/api/v1/mlops/retraining/trigger/dandelion_grass_classifier', json({})],
  ])('%s answers 503 in time', async (path, init) => {
    await expectUnavailable(await whileStalled('temporal', path, init), 'temporal_unavailable');
  });
});

describe('the health of a service that does not answer', () => {
  it.each(['postgres', 'objects', 'temporal'] as const)('%s is reported in time', async (service) => {
    const name = { postgres: 'postgres', objects: 'object_store', temporal: 'temporal' }[service];
    proxies[service].stall();
    try {
      await poll(
        async () => {
          const response = await fetch(`${served.url}/health`, { signal: AbortSignal.timeout(boundMs) });
          return healthSchema.parse(await response.json()).dependencies[name];
        },
        (state) => state?.status === 'down',
        boundMs,
      );
    } finally {
      proxies[service].resume();
    }
  });
});
