import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { z } from 'zod';
import { pageOf } from '../../contracts/http/page.js';
import { poll } from '../support/api-client.js';
import { hasBrowser, startBrowser } from '../support/browser.js';
import { patternImage } from '../support/ingestion-fixture.js';
import { startApi, type ServedApi } from '../support/served-api.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from '../support/services.js';

const describeInBrowser = hasBrowser ? describe : describe.skip;
if (!hasBrowser) console.warn('skipped: no Chromium at /usr/bin/chromium; install it or set CHROMIUM_PATH');

/** What a page can send without asking: the browser sends no preflight for these. */
interface Attack {
  path: string;
  how: 'nothing' | 'text' | 'upload' | 'form';
}

const attacks: readonly Attack[] = [
  { path: '/api/v1/datasets/dandelion_grass/images', how: 'upload' },
  { path: '/api/v1/mlops/retraining/trigger/dandelion_grass_classifier', how: 'nothing' },
  { path: '/api/v1/schedules/continuous_training-dandelion_grass_classifier/resume', how: 'nothing' },
  { path: '/api/v1/pipelines/retention', how: 'nothing' },
  { path: '/api/v1/pipelines/retraining', how: 'text' },
  { path: '/api/v1/pipelines/ingestion', how: 'text' },
  { path: '/api/v1/pipelines/retention', how: 'form' },
];

const anything = pageOf(z.unknown());

describeInBrowser('a hostile page', () => {
  let services: TestService[];
  let uiUrl: string;
  let served: ServedApi;
  let browser: Browser;
  let site: Server;
  let picture: string;

  beforeAll(async () => {
    const [postgres, objects, temporal] = await Promise.all([startPostgres(), startObjectStore(), startTemporal()]);
    services = [postgres, objects, temporal];
    uiUrl = temporal.uiUrl;
    served = await startApi({ ...postgres.environment, ...objects.environment, ...temporal.environment });
    site = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>cats</title>');
    });
    await once(site.listen(0, '127.0.0.1'), 'listening');
    browser = await startBrowser(['hostile.test', 'rebind.test']);
    picture = (await patternImage(7)).toString('base64');
  }, 120_000);
  afterAll(async () => {
    await browser.close();
    site.close();
    await served.stop();
    await Promise.all(services.map((service) => service.stop()));
  });

  /** Opens the page under a name, which leads to this machine. */
  const open = async (host: string): Promise<Page> => {
    const { port } = z.custom<AddressInfo>().parse(site.address());
    const page = await browser.newPage();
    await page.goto(`http://${host}:${port}/`);
    return page;
  };
  const rebound = async (url: string, path: string): Promise<Page> => {
    const page = await browser.newPage();
    const { port } = new URL(url);
    await page.goto(`http://rebind.test:${port}${path}`);
    return page;
  };
  /** Changing requests that the API has answered, by status: its own record, since the page sees nothing. */
  const answered = async (): Promise<Record<string, number>> => {
    const metrics = await (await fetch(`${served.url}/metrics`)).text();
    const counts: Record<string, number> = {};
    for (const [, labels = '', count] of metrics.matchAll(/^mlops_api_requests_total\{(.*)\} (\d+)$/gm)) {
      if (!labels.includes('method="POST"')) continue;
      const status = /status="(\d+)"/.exec(labels)?.[1] ?? labels;
      counts[status] = (counts[status] ?? 0) + Number(count);
    }
    return counts;
  };
  const changes = async (): Promise<number> => {
    const found = await Promise.all(
      ['/api/v1/pipelines', '/api/v1/audit', '/api/v1/datasets'].map(async (path) => {
        const { items } = anything.parse(await (await fetch(served.url + path)).json());
        return items.length;
      }),
    );
    return found.reduce((sum, count) => sum + count, 0);
  };

  it.each([
    ['of another site', 'hostile.test'],
    ['of another port of the same host', '127.0.0.1'],
    ['of another loopback name', 'localhost'],
  ])('%s changes nothing: the API answers 403', async (_name, host) => {
    const before = (await answered())['403'] ?? 0;
    const page = await open(host);
    for (const [index, { path, how }] of attacks.entries()) {
      await attackWith(page, { url: served.url + path, how, picture });
      await poll(answered, (counts) => counts['403'] === before + index + 1, 30_000);
    }
    await page.close();
    expect(await answered()).toEqual({ '403': before + attacks.length });
    expect(await changes()).toBe(0);
  });

  it('of another site reads nothing', async () => {
    const page = await open('hostile.test');
    expect(await page.evaluate(read, `${served.url}/health`)).toBe('failed');
    expect(await page.evaluate(read, `${uiUrl}/api/v1/namespaces`)).toBe('failed');
  });

  it('that rebinds its name reads and changes nothing: the API answers 421', async () => {
    // Probes answer under every name, so the page has the API's own origin from the view of the browser.
    const page = await rebound(served.url, '/health/live');
    for (const path of ['/health', '/model/info', '/api/v1/predictions', '/openapi.json', '/metrics']) {
      expect(await page.evaluate(read, path)).toBe('421');
    }
    const before = await answered();
    for (const { path } of attacks) await attackWith(page, { url: path, how: 'text', picture });
    // Chromium repeats a request on a new connection after 421.
    const { '421': refused = 0, ...others } = await answered();
    expect(refused).toBeGreaterThanOrEqual(attacks.length);
    expect(others).toEqual(before);
    expect(await changes()).toBe(0);
  });

  it('that rebinds its name to the Temporal Web UI sees nothing of it', async () => {
    const page = await rebound(uiUrl, '/');
    expect(await page.content()).toContain('localhost and 127.0.0.1 only');
    expect(await page.evaluate(read, '/api/v1/namespaces')).toBe('421');
  });

  it('is not the Temporal Web UI, which shows the user its workflows', async () => {
    const page = await browser.newPage();
    await page.goto(`${uiUrl}/namespaces/default/workflows`);
    await page.getByText('Workflows').first().waitFor();
  });
});

interface Sent {
  url: string;
  how: Attack['how'];
  picture: string;
}

async function attackWith(page: Page, sent: Sent): Promise<void> {
  await (sent.how === 'form' ? page.evaluate(formScript(sent.url)) : page.evaluate(send, sent));
}

/** As text, because it uses the document, which the types of Node do not have. */
function formScript(url: string): string {
  return `{
    const form = Object.assign(document.createElement('form'), { method: 'post', action: ${JSON.stringify(url)} });
    document.body.append(form);
    form.submit();
  }`;
}

/** Runs in the page. */
async function send({ url, how, picture }: Sent): Promise<void> {
  const upload = new FormData();
  upload.append('label', 'dandelion');
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  upload.append('files', new Blob([bytes]), 'grass.jpg');
  const body = how === 'upload' ? upload : how === 'text' ? '{"source":{"kind":"synthetic"}}' : null;
  // The page gets an error where it may not even know that there was a response.
  await fetch(url, { method: 'POST', mode: 'no-cors', body }).catch(() => null);
}

/** Runs in the page: the status and the text that it can read. */
async function read(url: string): Promise<string> {
  try {
    const response = await fetch(url);
    await response.text();
    return String(response.status);
  } catch {
    return 'failed';
  }
}
