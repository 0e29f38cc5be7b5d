import type { Browser, Page } from 'playwright-core';
import { createApp } from '../../api/app.js';
import { listen, type Listening } from '../../api/http/server/listen.js';
import { emptyDependencies } from '../support/api-dependencies.js';
import { hasBrowser, startBrowser } from '../support/browser.js';

const describeInBrowser = hasBrowser ? describe : describe.skip;
if (!hasBrowser) console.warn('skipped: no Chromium at /usr/bin/chromium; install it or set CHROMIUM_PATH');

describeInBrowser('the documentation page', () => {
  let listening: Listening;
  let browser: Browser;
  let page: Page;
  let url: string;
  const complaints: string[] = [];
  const requested: string[] = [];

  beforeAll(async () => {
    listening = await listen(createApp(emptyDependencies()), '127.0.0.1', 0);
    url = `http://127.0.0.1:${listening.port}`;
    browser = await startBrowser();
    page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requested.push(request.url()));
    await page.goto(`${url}/`);
    await page.locator('.opblock').first().waitFor();
  });
  afterAll(async () => {
    await browser.close();
    await listening.stop(1_000);
  });

  it('is where the root leads', () => {
    expect(new URL(page.url()).pathname).toBe('/docs');
  });

  it('shows every route', async () => {
    const document: unknown = await (await fetch(`${url}/openapi.json`)).json();
    const paths = JSON.stringify(document).match(/"operationId":/g)?.length;
    expect(await page.locator('.opblock').count()).toBe(paths);
    expect(await page.locator('.opblock-summary-path[data-path="/predict"]').count()).toBe(1);
  });

  it('can send a request and show the response', async () => {
    const health = page.locator('#operations-operation-getHealth');
    await health.click();
    await health.getByRole('button', { name: 'Try it out' }).click();
    await health.getByRole('button', { name: 'Execute' }).click();
    const status = health.locator('.live-responses-table .response-col_status').last();
    await status.waitFor();
    expect(await status.textContent()).toContain('200');
  });

  it('offers to choose a file for a prediction', async () => {
    const predict = page.locator('#operations-serving-predict');
    await predict.click();
    await predict.getByRole('button', { name: 'Try it out' }).click();
    await predict.locator('input[type=file]').waitFor();
    if (process.env['SCREENSHOT_DIR']) await page.screenshot({ path: `${process.env['SCREENSHOT_DIR']}/docs.png` });
  });

  it('loads everything from this server and violates no content security policy', () => {
    expect(requested.filter((each) => !each.startsWith(`${url}/`) && !/^(data|blob):/.test(each))).toEqual([]);
    expect(complaints).toEqual([]);
  });

  // Last, because the API has no services and reports a fault.
  it('can send a change, which pages of other origins cannot', async () => {
    const retention = page.locator('#operations-pipelines-startRetention');
    await retention.click();
    await retention.getByRole('button', { name: 'Try it out' }).click();
    await retention.getByRole('button', { name: 'Execute' }).click();
    const status = retention.locator('.live-responses-table .response-col_status').last();
    await status.waitFor();
    expect(await status.textContent()).not.toMatch(/403|421/);
    expect(await status.textContent()).toMatch(/\d{3}/);
  });
});
