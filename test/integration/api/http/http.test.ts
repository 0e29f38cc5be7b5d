import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { drainLimits } from '../../../../api/http/middleware/drain.js';
import { errorTable } from '../../../../contracts/errors.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { multipartHeaders, postRaw, type RawAnswer } from '../../../support/raw-request.js';

const tooMuch = 25_000_000;

/** HTTP itself, independent of any route: no service is behind this API. */
describe('the HTTP surface', () => {
  let listening: Listening;
  let url: string;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'perennial-http-'));
    listening = await listen(createApp(emptyDependencies()), '127.0.0.1', 0);
    url = `http://127.0.0.1:${listening.port}`;
  });
  afterAll(async () => {
    await listening.stop(1_000);
    await rm(folder, { recursive: true });
  });

  const send = (path: string, headers: Record<string, string>, chunks: Iterable<Uint8Array>): Promise<RawAnswer> =>
    postRaw(url + path, headers, chunks);
  const megabytes = (count: number): Uint8Array[] => Array.from({ length: count }, () => new Uint8Array(1_000_000));

  describe('with a body that is too large', () => {
    it.each([
      ['a form with a Content-Length', '/predict', { ...multipartHeaders, 'content-length': String(tooMuch) }, 25],
      ['JSON in chunks', '/invocations', { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }, 40],
    ])('lets Node’s client read 413 after %s', async (_name, path, headers, count) => {
      const answer = await send(path, headers, megabytes(count));
      expect(answer.status).toBe(413);
      expect(problemSchema.parse(JSON.parse(answer.body)).code).toBe('too_large');
    });

    it('lets fetch read 413, for a form and for JSON', async () => {
      const form = new FormData();
      form.append('file', new Blob([new Uint8Array(tooMuch)]), 'large.jpg');
      const formAnswer = await fetch(`${url}/predict`, { method: 'POST', body: form });
      expect(problemSchema.parse(await formAnswer.json()).status).toBe(413);
      const headers = { 'content-type': 'application/json' };
      const jsonAnswer = await fetch(`${url}/invocations`, { method: 'POST', headers, body: ' '.repeat(33_000_000) });
      expect(problemSchema.parse(await jsonAnswer.json()).status).toBe(413);
    });

    it('lets curl read 413 and end well, with and without Expect', async () => {
      const path = join(folder, 'large file.jpg');
      await writeFile(path, new Uint8Array(tooMuch));
      for (const expectation of ['Expect: 100-continue', 'Expect:']) {
        const { stdout } = await promisify(execFile)('curl', [
          '-sS',
          '-H',
          expectation,
          '-F',
          `file=@${path}`,
          `${url}/predict`,
        ]);
        expect(problemSchema.parse(JSON.parse(stdout)).status).toBe(413);
      }
    });

    it('lets a client read 413 that sends its whole body before it reads', async () => {
      const { answer, sentBytes } = await sendBlindly(listening.port, tooMuch);
      expect(answer).toMatch(/^HTTP\/1\.1 413 [^]*"code":"too_large"/);
      expect(sentBytes).toBeGreaterThanOrEqual(tooMuch);
    });

    it('cuts off a client that continues to send', async () => {
      const { sentBytes } = await sendBlindly(listening.port, 10_000_000_000);
      expect(sentBytes).toBeGreaterThan(drainLimits.bytes);
      expect(sentBytes).toBeLessThan(3 * drainLimits.bytes);
    });
  });

  it.each([
    ['GET', '/nowhere', 404, 'not_found'],
    ['GET', '/docs/secret.txt', 404, 'not_found'],
    ['GET', '/problems/unheard_of', 404, 'not_found'],
    ['GET', '/invocations', 405, 'method_not_allowed'],
    ['DELETE', '/predict', 405, 'method_not_allowed'],
    ['POST', '/health', 405, 'method_not_allowed'],
    ['GET', '/%ff', 404, 'not_found'],
    ['GET', '/problems/%ff', 400, 'bad_request'],
    ['GET', '/model/info', 503, 'no_model'],
  ])('answers %s %s with a problem, status %i', async (method, path, status, code) => {
    const response = await fetch(url + path, { method });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const problem = problemSchema.parse(await response.json());
    expect(problem).toMatchObject({ status, code, instance: path, trace_id: response.headers.get('x-request-id') });
    expect(response.headers.get('retry-after')).toBe(problem.retry_after_seconds?.toString() ?? null);
  });

  it('names the methods of a path', async () => {
    expect((await fetch(`${url}/invocations`)).headers.get('allow')).toBe('POST, OPTIONS');
    const options = await fetch(`${url}/health`, { method: 'OPTIONS' });
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS']);
    expect((await fetch(`${url}/health`, { method: 'HEAD' })).status).toBe(200);
  });

  it.each([
    ['malformed JSON', { 'content-type': 'application/json' }, '{"inputs": [', 400, 'bad_request'],
    ['JSON that is no object', { 'content-type': 'application/json' }, '[1]', 400, 'bad_request'],
    ['no inputs', { 'content-type': 'application/json' }, '{}', 400, 'bad_request'],
    ['a wrong shape', { 'content-type': 'application/json' }, '{"inputs": [[1]]}', 422, 'invalid_tensor'],
    ['text', { 'content-type': 'text/plain' }, 'hello', 415, 'unsupported_type'],
    ['no content type', {}, 'hello', 415, 'unsupported_type'],
    [
      'an unknown encoding',
      { 'content-type': 'application/json', 'content-encoding': 'x' },
      '{}',
      415,
      'unsupported_type',
    ],
  ])('refuses %s at /invocations', async (_name, headers, body, status, code) => {
    const answer = await send('/invocations', { ...headers, 'content-length': String(body.length) }, [
      Buffer.from(body),
    ]);
    const problem = problemSchema.parse(JSON.parse(answer.body));
    expect([answer.status, problem.code]).toEqual([status, code]);
  });

  it('uses a valid request id and replaces an invalid one', async () => {
    const idOf = async (sent: string): Promise<string | null> =>
      (await fetch(`${url}/health`, { headers: { 'x-request-id': sent } })).headers.get('x-request-id');
    expect(await idOf('order-66.a:b')).toBe('order-66.a:b');
    expect(await idOf('not one, "but" two')).toMatch(/^[0-9a-f-]{36}$/);
    expect(await idOf('x'.repeat(200))).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('explains each kind of problem at the address its type names', async () => {
    for (const [code, { title }] of Object.entries(errorTable)) {
      const response = await fetch(`${url}/problems/${code}`);
      expect(response.status).toBe(200);
      expect(await response.text()).toContain(title);
    }
  });

  it('restricts browsers by security headers', async () => {
    const { headers } = await fetch(`${url}/docs`);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('content-security-policy')).toContain("script-src 'self';");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-powered-by')).toBeNull();
  });

  it('exposes metrics that parse, labelled with route templates and never with URLs', async () => {
    await fetch(`${url}/problems/no_model`);
    await fetch(`${url}/a/path/nobody/knows`);
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    const sample = /^[a-zA-Z_:][\w:]*(\{(\w+="([^"\\]|\\.)*",?)+\})? ([-+]?[\d.]+(e[-+]?\d+)?|NaN|[-+]Inf)$/;
    expect(lines.filter((line) => !line.startsWith('# ') && !sample.test(line))).toEqual([]);
    const helped = lines.filter((line) => line.startsWith('# HELP ')).map((line) => line.split(' ')[2]);
    expect(new Set(helped).size).toBe(helped.length);
    expect(helped).toEqual(
      expect.arrayContaining([
        'predictions_total',
        'prediction_duration_seconds',
        'prediction_errors_total',
        'api_status',
        'mlops_api_requests_total',
        'mlops_api_request_duration_seconds',
        'mlops_model_confidence',
        'model_info',
        'model_accuracy',
        'model_inference_time_seconds',
        'mlops_prediction_phase_seconds',
        'mlops_queue_items',
        'mlops_requests_shed_total',
      ]),
    );
    expect(lines).toContain('prediction_errors_total{reason="undecodable_image"} 0');
    expect(lines).toContain('mlops_requests_shed_total{reason="queue_full"} 0');
    const requests = lines.filter((line) => line.startsWith('mlops_api_requests_total'));
    expect(requests.some((line) => line.includes('route="/problems/{code}"'))).toBe(true);
    expect(requests.some((line) => line.includes('route="unmatched",status="404"'))).toBe(true);
    expect(requests.some((line) => line.includes('nobody'))).toBe(false);
  });
});

describe('listen', () => {
  it('gives a slow upload an hour, and the headers of a request a minute', async () => {
    let times: unknown = null;
    const timed = await listen(
      ({ socket }, response) => {
        const { server } = z.object({ server: z.instanceof(Server) }).parse(socket);
        times = { request: server.requestTimeout, headers: server.headersTimeout };
        response.end();
      },
      '127.0.0.1',
      0,
    );
    await fetch(`http://127.0.0.1:${timed.port}`);
    await timed.stop(1_000);
    expect(times).toEqual({ request: 3_600_000, headers: 60_000 });
  });
});

/** Sends a body of that length over a raw socket; reads only once all of it is sent or the server stops receiving. */
async function sendBlindly(port: number, length: number): Promise<{ answer: string; sentBytes: number }> {
  const socket = connect(port, '127.0.0.1').pause();
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  socket.pause();
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('error', () => resolve());
  });
  const head = `POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n`;
  socket.write(`${head}Content-Length: ${length}\r\n\r\n`);
  const block = Buffer.alloc(1_000_000);
  for (let sent = 0; sent < length && socket.writable; sent += block.length) {
    const taken = new Promise<void>((resolve) => socket.write(block, () => resolve()));
    await Promise.race([taken, closed]);
  }
  socket.resume();
  await closed;
  return { answer, sentBytes: socket.bytesWritten };
}
