import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { createLogger } from '../../../../platform/logging.js';
import { createDatabase } from '../../../../stores/postgres/database.js';
import { poll } from '../../../support/api-client.js';
import { formWith, redImage, startApi } from '../../../support/served-api.js';
import { startServerProcess, type ServerProcess } from '../../../support/server-process.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

/** Predictions of an API process that stops or is killed. */
describe('predictions of an API process that ends', () => {
  let postgres: TestService & { url: string };
  let objectStore: TestService;
  let home: string;
  let image: Uint8Array;
  const started: ServerProcess[] = [];

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'perennial-journal-'));
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    const publisher = await startApi({ ...postgres.environment, ...objectStore.environment });
    await publisher.promote(await publisher.registerTiny());
    await publisher.stop();
    image = await redImage();
  });
  afterAll(async () => {
    for (const { child } of started) child.kill('SIGKILL');
    await Promise.all([postgres.stop(), objectStore.stop()]);
    await rm(home, { recursive: true, force: true });
  });

  async function startServing(): Promise<{ server: ServerProcess; url: string }> {
    const server = startServerProcess({
      ...postgres.environment,
      ...objectStore.environment,
      TEMPORAL_ADDRESS: '127.0.0.1:9',
      PERENNIAL_HOME: home,
      PORT: '0',
      SERVING_THREADS: '1',
    });
    started.push(server);
    const { url } = z.object({ url: z.url() }).parse(await server.ready);
    await poll(
      () => fetch(`${url}/ping`),
      ({ status }) => status === 200,
    );
    return { server, url };
  }

  async function predict(url: string): Promise<string> {
    const response = await fetch(`${url}/predict`, { method: 'POST', body: formWith('file', image) });
    return predictionSchema.parse(await response.json()).prediction_id;
  }

  /** The ids that are not in Postgres. */
  async function missing(ids: readonly string[]): Promise<string[]> {
    const db = createDatabase({ url: postgres.url, poolSize: 1, logger: createLogger('test', 'silent') });
    try {
      const rows = await db.rows(z.object({ id: z.string() }), 'SELECT id FROM predictions WHERE id = ANY($1)', [ids]);
      const found = new Set(rows.map(({ id }) => id));
      return ids.filter((id) => !found.has(id));
    } finally {
      await db.close();
    }
  }

  it('are in Postgres after a graceful shutdown', async () => {
    const { server, url } = await startServing();
    const ids = await Promise.all(Array.from({ length: 30 }, () => predict(url)));
    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
    expect(await missing(ids)).toEqual([]);
    expect(await readdir(join(home, 'spool/predictions'))).toEqual([]);
  });

  it('are inserted after the next start when it shuts down without Postgres', async () => {
    const { server, url } = await startServing();
    await postgres.pause();
    const ids = await Promise.all(Array.from({ length: 30 }, () => predict(url)));
    server.child.kill('SIGTERM');
    await server.exited;
    await postgres.resume();
    expect(await missing(ids)).toEqual(ids);
    const next = await startServing();
    await poll(
      () => missing(ids),
      (left) => left.length === 0,
    );
    next.server.child.kill('SIGTERM');
    await next.server.exited;
  });

  it('are inserted after the next start when it is killed under load, except for those of its last moment', async () => {
    const { server, url } = await startServing();
    const answered: { id: string; at: number }[] = [];
    const load = async (): Promise<void> => {
      // The end of the process ends the load.
      for (;;) answered.push({ id: await predict(url), at: performance.now() });
    };
    const loads = Promise.allSettled([load(), load(), load()]);
    const answeredBefore = (at: number): string[] => answered.filter((one) => one.at < at - 100).map(({ id }) => id);
    await poll(
      () => Promise.resolve(answeredBefore(performance.now()).length),
      (count) => count > 60,
    );
    const safe = answeredBefore(performance.now());
    server.child.kill('SIGKILL');
    await loads;
    expect(safe.length).toBeGreaterThan(20);
    const next = await startServing();
    await poll(
      () => missing(safe),
      (left) => left.length === 0,
    );
    const detail = await fetch(`${next.url}/api/v1/predictions/${safe.at(-1) ?? ''}`);
    expect(detail.status).toBe(200);
    next.server.child.kill('SIGTERM');
    await next.server.exited;
    expect(await readdir(join(home, 'spool/predictions'))).toEqual([]);
  });
});
