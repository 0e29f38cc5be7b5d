import { Client, Connection } from '@temporalio/client';
import { freePorts } from '../../../infra/local/ports.js';
import { startChild, type RunningChild } from '../../../infra/local/running-child.js';
import { localTemporal, type LocalTemporal } from '../../../infra/local/temporal.js';
import { guardWebUi } from '../../../infra/local/web-ui-guard.js';
import { postRaw, type RawAnswer } from '../../support/raw-request.js';

/** The requests that a page can make a browser send to the local Temporal. */
describe('the local Temporal', () => {
  let temporal: LocalTemporal;
  let child: RunningChild;
  let connection: Connection;
  let closeUi: () => void;
  let httpUrl: string;

  beforeAll(async () => {
    const [port = 0, uiPort = 0, httpPort = 0] = await freePorts(3);
    temporal = await localTemporal({ folder: null, port, uiPort, namespace: 'default' });
    httpUrl = `http://127.0.0.1:${httpPort}`;
    const args = [...temporal.spec.args, '--http-port', String(httpPort)];
    child = await startChild({ ...temporal.spec, args });
    closeUi = await guardWebUi(uiPort, temporal.hiddenUi);
    connection = await Connection.connect({ address: temporal.address });
  }, 90_000);
  afterAll(async () => {
    await connection.close();
    closeUi();
    await child.stop();
  });

  const workflow = JSON.stringify({ workflowType: { name: 'w' }, taskQueue: { name: 'q' }, requestId: 'r' });
  const start = (base: string, id: string, headers: Record<string, string>): Promise<RawAnswer> =>
    postRaw(`${base}/api/v1/namespaces/default/workflows/${id}`, { 'content-type': 'text/plain', ...headers }, [
      workflow,
    ]);
  const wasStarted = async (id: string): Promise<boolean> => {
    const handle = new Client({ connection }).workflow.getHandle(id);
    return handle.describe().then(
      () => true,
      () => false,
    );
  };
  /** The cookie and the header with which the UI's own pages prove themselves. */
  const token = async (): Promise<Record<string, string>> => {
    const page = await fetch(`${temporal.uiUrl}/api/v1/namespaces/default`);
    const csrf = /_csrf=([^;]+)/.exec(page.headers.get('set-cookie') ?? '')?.[1] ?? '';
    return { cookie: `_csrf=${csrf}`, 'x-csrf-token': csrf };
  };

  it('starts nothing over its HTTP API, for any host or origin', async () => {
    const own = new URL(httpUrl).host;
    for (const host of [own, 'localhost', 'rebind.test', 'no.host']) {
      const { status } = await start(httpUrl, 'over-http', { host, origin: 'http://hostile.test' });
      expect({ host, status }).toEqual({ host, status: 403 });
      expect(await start(httpUrl, 'over-http', { host })).toMatchObject({ status: 403 });
    }
    expect(await wasStarted('over-http')).toBe(false);
  });

  it('does not serve its Web UI where a page would look for it', () => {
    const { host, port } = temporal.hiddenUi;
    const seen = new URL(temporal.uiUrl);
    if (process.platform === 'linux') expect(host).toMatch(/^127\.[1-9]\d*\.[1-9]\d*\.[1-9]\d*$/);
    expect(`${host}:${port}`).not.toBe(seen.host);
  });

  it('shows its Web UI to the user, whose pages may start a workflow', async () => {
    expect(await (await fetch(temporal.uiUrl)).text()).toContain('<html');
    const origin = { origin: temporal.uiUrl, 'sec-fetch-site': 'same-origin' };
    expect(await start(temporal.uiUrl, 'by-the-user', { ...origin, ...(await token()) })).toMatchObject({
      status: 200,
    });
    expect(await wasStarted('by-the-user')).toBe(true);
  });

  it('shows its Web UI under no other name, to read or to change', async () => {
    for (const host of ['rebind.test', `rebind.test:${new URL(temporal.uiUrl).port}`, '127.0.0.1.rebind.test', 'a b']) {
      expect(await start(temporal.uiUrl, 'rebound', { host, ...(await token()) })).toMatchObject({ status: 421 });
    }
    expect(await wasStarted('rebound')).toBe(false);
  });

  it('takes no change from a page of another origin', async () => {
    for (const origin of ['http://hostile.test', 'null', 'http://127.0.0.1:1', 'http://localhost:1']) {
      expect(await start(temporal.uiUrl, 'crossed', { origin, ...(await token()) })).toMatchObject({ status: 403 });
    }
    expect(await wasStarted('crossed')).toBe(false);
  });

  it('says so when Temporal does not answer', async () => {
    const [port = 0, none = 0] = await freePorts(2);
    const close = await guardWebUi(port, { host: '127.0.0.1', port: none });
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect(answer.status).toBe(502);
    expect(await answer.text()).toContain('does not answer');
    close();
  });
});
