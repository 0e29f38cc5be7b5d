import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { freePorts } from '../../../infra/local/ports.js';
import { poll } from '../../support/api-client.js';
import { answersIn, speakRaw } from '../../support/raw-request.js';
import { formWith, redImage, startApi } from '../../support/served-api.js';
import { startServerProcess, type ServerProcess } from '../../support/server-process.js';
import { startObjectStore, startPostgres, type TestService } from '../../support/services.js';

describe('the server process', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let environment: Record<string, string>;
  let home: string;
  const started: ServerProcess[] = [];

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'perennial-server-'));
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    environment = {
      ...postgres.environment,
      ...objectStore.environment,
      TEMPORAL_ADDRESS: '127.0.0.1:9',
      PERENNIAL_HOME: home,
      SERVING_THREADS: '1',
    };
  });
  afterAll(async () => {
    for (const { child } of started) child.kill('SIGKILL');
    await Promise.all([postgres.stop(), objectStore.stop()]);
    await rm(home, { recursive: true, force: true });
  });

  function startServer(settings: Record<string, string>): ServerProcess {
    const server = startServerProcess({ ...environment, ...settings });
    started.push(server);
    return server;
  }

  it('serves a model without ever loading TensorFlow, and shuts down gracefully', async () => {
    // Another replica fills the registry; this one only serves.
    const publisher = await startApi(environment);
    await publisher.promote(await publisher.registerTiny());
    await publisher.stop();

    const server = startServer({ PORT: '0' });
    const { url } = z.object({ type: z.literal('ready'), url: z.url() }).parse(await server.ready);
    const image = await redImage();
    const predict = (): Promise<Response> => fetch(`${url}/predict`, { method: 'POST', body: formWith('file', image) });
    await poll(predict, ({ status }) => status === 200);
    if (process.platform === 'linux') {
      const mapped = await readFile(`/proc/${server.child.pid ?? 0}/maps`, 'utf8');
      expect(mapped).toContain('onnxruntime');
      expect(mapped).not.toMatch(/tensorflow/i);
    }

    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
    const lines = ['stopping', 'no more requests', 'inference threads ended', 'connections closed'];
    const positions = lines.map((line) => server.log().indexOf(`"message":"${line}"`));
    expect(positions).not.toContain(-1);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });

  it('answers requests under way before it stops', async () => {
    const server = startServer({ PORT: '0' });
    const { url } = z.object({ url: z.url() }).parse(await server.ready);
    const image = await redImage();
    await poll(
      () => fetch(`${url}/ping`),
      ({ status }) => status === 200,
    );
    const answers = Array.from({ length: 20 }, () =>
      fetch(`${url}/predict`, { method: 'POST', body: formWith('file', image) }),
    );
    await Promise.race(answers);
    server.child.kill('SIGTERM');
    const statuses = (await Promise.allSettled(answers)).flatMap((each) =>
      each.status === 'fulfilled' ? [each.value.status] : [],
    );
    expect(statuses.length).toBeGreaterThan(0);
    expect(statuses.every((status) => status === 200)).toBe(true);
    expect(await server.exited).toBe(0);
  });

  it('becomes not ready first, then answers or refuses each new client and resets none', async () => {
    const server = startServer({ PORT: '0', SHUTDOWN_LEAVE_MS: '500' });
    const { url } = z.object({ url: z.url() }).parse(await server.ready);
    const { port } = new URL(url);
    const text = 'GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    /** Statuses until the connection is refused. A client that is reset gets ECONNRESET or no response. */
    const askOnAndOn = async (statuses: number[]): Promise<void> => {
      for (;;) {
        try {
          const answers = answersIn(await speakRaw(Number(port), text));
          statuses.push(answers.length === 1 ? (answers[0]?.status ?? 0) : 0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ECONNREFUSED' });
          return;
        }
      }
    };
    const heard: number[][] = [[], [], [], []];
    const clients = Promise.all(heard.map((statuses) => askOnAndOn(statuses)));
    await poll(
      () => Promise.resolve(heard),
      (all) => all.every(({ length }) => length > 5),
    );
    server.child.kill('SIGTERM');
    await clients;
    for (const statuses of heard) {
      const firstUnready = statuses.indexOf(503);
      expect(new Set(statuses.slice(0, firstUnready))).toEqual(new Set([200]));
      expect(new Set(statuses.slice(firstUnready))).toEqual(new Set([503]));
    }
    expect(await server.exited).toBe(0);
  });

  it('logs a line for each request, and never its content', async () => {
    const server = startServer({ PORT: '0' });
    const { url } = z.object({ url: z.url() }).parse(await server.ready);
    const headers = { 'content-type': 'application/json', 'x-request-id': 'request-1' };
    await fetch(`${url}/invocations?secret=in-the-query`, { method: 'POST', headers, body: '{"secret": in-the-body' });
    await poll(
      () => Promise.resolve(server.log()),
      (log) => log.includes('request-1'),
    );
    const line: unknown = JSON.parse(
      server
        .log()
        .split('\n')
        .find((each) => each.includes('request-1')) ?? '',
    );
    expect(line).toMatchObject({
      level: 'warn',
      module: 'api',
      request_id: 'request-1',
      method: 'POST',
      path: '/invocations',
      route: '/invocations',
      status: 400,
      problem: 'unknown_parameter',
    });
    expect(server.log()).not.toMatch(/in-the-(query|body)/);
    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
  });

  it('names PORT when the port is taken', async () => {
    const [port = 0] = await freePorts(1);
    const first = startServer({ PORT: String(port) });
    await first.ready;
    const second = startServer({ PORT: String(port) });
    expect(await second.exited).toBe(1);
    expect(second.log()).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}: another process uses it\\. Set PORT`));
    first.child.kill('SIGTERM');
    expect(await first.exited).toBe(0);
  });

  it('names every wrong setting', async () => {
    const server = startServer({ PORT: 'http', MAX_UPLOAD_BYTES: '-1' });
    expect(await server.exited).toBe(1);
    expect(server.log()).toContain('PORT');
    expect(server.log()).toContain('MAX_UPLOAD_BYTES');
  });

  it('waits for Postgres, live but not ready', async () => {
    await postgres.pause();
    const [port = 0] = await freePorts(1);
    const server = startServer({ PORT: String(port) });
    const url = `http://127.0.0.1:${port}`;
    await poll(
      () => fetch(`${url}/health/live`),
      ({ status }) => status === 200,
    );
    expect((await fetch(`${url}/health/ready`)).status).toBe(503);
    await postgres.resume();
    await server.ready;
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
  });
});
