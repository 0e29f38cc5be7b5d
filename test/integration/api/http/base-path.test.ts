import { z } from 'zod';
import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { acceptedSchema } from '../../../../contracts/workflows/accepted.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { startPrefixProxy, type PrefixProxy } from '../../../support/prefix-proxy.js';

const prefix = '/flowers/v1';
const runId = 'a-run';

describe.each([
  ['strips the prefix, with BASE_PATH', prefix, true],
  ['does not strip the prefix, with BASE_PATH', prefix, false],
  ['strips the prefix, without a setting', '', true],
])('the API behind a proxy that %s', (_name, basePath, strips) => {
  let listening: Listening;
  let proxy: PrefixProxy;
  beforeAll(async () => {
    const empty = emptyDependencies();
    const started = { runId, workflowId: 'ingest', joined: true };
    const app = createApp({
      ...empty,
      settings: { ...empty.settings, basePath },
      starter: { ...empty.starter, startIngestion: () => Promise.resolve(started) },
    });
    listening = await listen(app, '127.0.0.1', 0);
    proxy = await startPrefixProxy(`http://127.0.0.1:${listening.port}`, prefix, strips);
  });
  afterAll(async () => {
    await proxy.stop();
    await listening.stop(1_000);
  });

  it.each(['/', '/docs', '/docs/'])(
    'shows a documentation whose addresses all lead somewhere, from %s',
    async (path) => {
      const page = await fetch(proxy.url + path);
      expect(page.headers.get('content-type')).toContain('text/html');
      const addresses = [...(await page.text()).matchAll(/(?:href|src)="([^"]+)"/g)].map(([, address = '']) => address);
      expect(addresses.length).toBeGreaterThan(4);
      for (const address of addresses) expect((await fetch(new URL(address, page.url))).status).toBe(200);
    },
  );

  it('has a document of routes whose server answers', async () => {
    const url = `${proxy.url}/openapi.json`;
    const document = z.object({ servers: z.array(z.object({ url: z.string() })) });
    const { servers } = document.parse(await (await fetch(url)).json());
    const server = new URL(servers[0]?.url ?? '', url).href.replace(/\/$/, '');
    expect((await fetch(`${server}/health`)).status).toBe(200);
  });

  if (basePath !== '') {
    it('begins the links of its answers with the prefix', async () => {
      const started = await fetch(`${proxy.url}/api/v1/pipelines/ingestion`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      });
      const { status_url } = acceptedSchema.parse(await started.json());
      expect(status_url).toBe(`${prefix}/api/v1/pipelines/${runId}`);
      expect(started.headers.get('location')).toBe(status_url);
      const root = await fetch(proxy.url, { redirect: 'manual' });
      expect(root.headers.get('location')).toBe(`${prefix}/docs`);
    });

    it('explains a problem at the address that the problem names', async () => {
      const problem = problemSchema.parse(await (await fetch(`${proxy.url}/v2/nothing?x=1`)).json());
      expect(problem.instance).toBe(`${prefix}/v2/nothing`);
      expect((await fetch(new URL(problem.type, proxy.url))).status).toBe(200);
    });
  }

  it('answers without the prefix as well, for clients beside the proxy', async () => {
    const direct = `http://127.0.0.1:${listening.port}`;
    expect((await fetch(`${direct}/health/live`)).status).toBe(200);
    expect((await fetch(`${direct}${prefix}x/health/live`)).status).toBe(404);
  });
});
