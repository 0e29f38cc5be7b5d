import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from '../../../../api/app.js';
import { trackConnections } from '../../../../api/http/server/connections.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { answerClientErrors } from '../../../../api/http/server/client-errors.js';
import { createApiMetrics } from '../../../../api/metrics.js';
import { problemSchema, type Problem } from '../../../../contracts/http/problem.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { answersIn, speakRaw } from '../../../support/raw-request.js';

const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const last = 'Connection: close\r\n';
const post = (headers: string, body = ''): string =>
  `POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;

/** Requests that the HTTP parser refuses before the application sees them, sent over raw sockets. */
describe('a request that is not valid HTTP', () => {
  const lines: object[] = [];
  const metrics = createApiMetrics(() => 0);
  let listening: Listening;
  beforeAll(async () => {
    const app = createApp(emptyDependencies({ metrics }));
    const handler: RequestListener = (request, response) => {
      if (request.url === '/slow') void sleep(50).then(() => response.setHeader('Content-Length', 4).end('slow'));
      else app(request, response);
    };
    const logger = { info: (line: object) => lines.push(line), warn: () => undefined };
    listening = await listen(handler, '127.0.0.1', 0, { logger, metrics });
  });
  beforeEach(() => lines.splice(0));
  afterAll(() => listening.stop(1_000));

  /** Sends the text and reads until the server closes; returns the last response and all statuses. */
  const speak = async (text: string, andLeave = false): Promise<{ problem: Problem; statuses: number[] }> => {
    const answers = answersIn(await speakRaw(listening.port, text, { andLeave }));
    const final = answers.at(-1);
    expect(final?.headers.get('connection')).toBe('close');
    expect(final?.headers.get('content-type')).toBe('application/problem+json');
    const problem = problemSchema.parse(JSON.parse(final?.body ?? ''));
    expect(problem.status).toBe(final?.status);
    expect(problem.trace_id).toBe(final?.headers.get('x-request-id'));
    return { problem, statuses: answers.map(({ status }) => status) };
  };

  const count = async (labels: string): Promise<number> => {
    const { text } = await metrics.expose();
    const line = text.split('\n').find((each) => each.startsWith(`mlops_api_requests_total${labels}`));
    return Number(line?.split(' ').at(-1) ?? 0);
  };

  it.each([
    ['text that is not HTTP', 'hello\r\n\r\n'],
    ['the beginning of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['an unknown method', 'FETCH / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['an unknown version', 'GET / HTTP/7.3\r\nHost: localhost\r\n\r\n'],
    ['a header without a colon', get('/', 'nonsense\r\n')],
    ['a header with a zero byte', get('/', 'X-A: a\0b\r\n')],
    ['a blank before a colon', get('/', 'Content-Length : 5\r\n')],
    ['a lone line feed in its head', 'GET / HTTP/1.1\nHost: localhost\n\n'],
    ['a length that is not a number', post('Content-Length: many\r\n', 'short')],
    ['a length below zero', post('Content-Length: -5\r\n', 'short')],
    ['two lengths', post('Content-Length: 5\r\nContent-Length: 6\r\n', 'short')],
    ['a length and chunks', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    ['chunks and a length', post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n')],
    ['chunks that are not its last encoding', post('Transfer-Encoding: chunked, gzip\r\n', '0\r\n\r\n')],
  ])('with %s is answered once, with a problem', async (_name, text) => {
    const { problem, statuses } = await speak(text);
    expect([problem.code, statuses]).toEqual(['bad_request', [400]]);
    expect(lines).toEqual([expect.objectContaining({ request_id: problem.trace_id, status: 400, route: 'malformed' })]);
    expect(JSON.stringify(lines)).not.toContain('short');
  });

  it.each([
    ['headers', get('/', `X-Long: ${'x'.repeat(20_000)}\r\n`)],
    ['an address', get(`/${'x'.repeat(20_000)}`)],
  ])('with %s of 20 kB is refused with the limit in the message', async (_name, text) => {
    const { problem, statuses } = await speak(text);
    expect([problem.code, statuses]).toEqual(['head_too_large', [431]]);
    expect(problem.detail).toContain('16384');
  });

  it('is counted', async () => {
    const series = '{method="unknown",route="malformed",status="400"}';
    const before = await count(series);
    await speak('hello\r\n\r\n');
    expect((await count(series)) - before).toBe(1);
  });

  it.each([
    ['HTTP/1.1 without a Host', `GET /ping HTTP/1.1\r\n${last}\r\n`],
    ['two Hosts', get('/ping', `Host: localhost\r\n${last}`)],
  ])('as %s is refused by the application', async (_name, text) => {
    expect(await speak(text)).toMatchObject({ problem: { code: 'bad_request', instance: '/ping' }, statuses: [400] });
  });

  it('that asks for a tunnel is refused', async () => {
    const { problem } = await speak('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n');
    expect(problem.code).toBe('method_not_allowed');
  });

  it('after valid ones is answered after them, even if they are slow', async () => {
    const { statuses, problem } = await speak(get('/health/live') + get('/slow') + get('/nowhere') + 'hello\r\n\r\n');
    expect([statuses, problem.code]).toEqual([[200, 200, 404, 400], 'bad_request']);
  });

  it.each([
    ['whose chunks break off in nonsense', post('Transfer-Encoding: chunked\r\n', '5\r\nshort\r\nzz\r\n')],
    ['with an encoding that hides chunks', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')],
  ])('%s is answered once, and counted under its route', async (_name, text) => {
    const series = '{method="POST",route="/invocations",status="400"}';
    const before = await count(series);
    const { problem, statuses } = await speak(text);
    expect([statuses, problem]).toEqual([
      [400],
      expect.objectContaining({ code: 'bad_request', instance: '/invocations' }),
    ]);
    expect(lines).toEqual([]);
    expect((await count(series)) - before).toBe(1);
  });

  it('that ends before its announced length is refused with that reason', async () => {
    const { problem, statuses } = await speak(post('Content-Length: 1000\r\n', 'short'), true);
    expect([statuses, problem.code, problem.detail]).toEqual([[400], 'bad_request', expect.stringContaining('ended')]);
    expect(await speak('GET /health HTT', true)).toMatchObject({ statuses: [400], problem: { code: 'bad_request' } });
  });

  it('that is longer than announced has its rest parsed as another request, which is refused', async () => {
    const text = `POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nshort and more`;
    expect((await speak(text)).statuses).toEqual([415, 400]);
  });

  it.each([
    ['HTTP/1.0 without a Host', 'GET /health/live HTTP/1.0\r\n\r\n'],
    ['an address in absolute form', get('http://here/health/live', last)],
    ['an unknown expectation', get('/health/live', `Expect: a-miracle\r\n${last}`)],
    ['an unsupported upgrade', get('/health/live', `Upgrade: websocket\r\n${last}`)],
    ['blank lines before it', `\r\n\r\n${get('/health/live', last)}`],
  ])('that is valid but unusual, such as %s, is answered normally', async (_name, text) => {
    expect(answersIn(await speakRaw(listening.port, text)).map(({ status }) => status)).toEqual([200]);
  });

  it.each([
    ['/v2/models/..%2f..%2fetc/passwd', 404],
    ['/v2/models/..%2f..%2fetc%2fpasswd', 404],
    ['/v2/models/%00', 404],
    ['/docs/..%2f..%2fpackage.json', 404],
    ['/docs/../../package.json', 404],
    ['/docs/%00', 404],
    ['/docs/%2e%2e/%2e%2e/package.json', 404],
    ['/problems/%00', 404],
    ['/problems/%c0%af', 400],
    ['/v2/models/%', 400],
    [`/v2/models/${'x'.repeat(10_000)}`, 404],
    ['//example.org/docs', 404],
    ['/..;/health', 404],
    ['*', 404],
  ])('for the path %s is refused', async (path, status) => {
    const [answer] = answersIn(await speakRaw(listening.port, get(path, last)));
    expect([answer?.status, problemSchema.parse(JSON.parse(answer?.body ?? '')).status]).toEqual([status, status]);
  });
});

describe('a request that arrives too slowly', () => {
  it.each([
    ['GET / HTTP/1.1\r\nHost: h', 'head_timeout'],
    ['POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nsho', 'body_timeout'],
    ['', null],
  ])('is ended, with a problem unless nothing was received: %j', async (text, code) => {
    const times = { headersTimeout: 100, requestTimeout: 200, connectionsCheckingInterval: 20 };
    const server = createServer(times, () => undefined);
    answerClientErrors(server, trackConnections(server), null);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const codes = answersIn(await speakRaw(port, text)).map(({ status, body }) => [
      status,
      problemSchema.parse(JSON.parse(body)).code,
    ]);
    expect(codes).toEqual(code === null ? [] : [[408, code]]);
    server.close();
    await once(server, 'close');
  });
});
