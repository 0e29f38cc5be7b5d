import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { answersIn, speakRaw } from '../../../support/raw-request.js';

interface Heard {
  status: number;
  code: string | undefined;
  detail: string;
  body: string;
}

/** What pages of other sites may send; test/e2e/hostile-page.test.ts sends it from a real browser. */
describe('the API', () => {
  let listening: Listening;
  beforeAll(async () => {
    const plain = emptyDependencies();
    const settings = {
      ...plain.settings,
      allowedHosts: ['models.example.org', '*.pods.example.org'],
      ownOrigins: ['https://models.example.org'],
    };
    listening = await listen(createApp({ ...plain, settings }), '127.0.0.1', 0);
  });
  afterAll(() => listening.stop(1_000));

  const speak = async (first: string, headers: readonly string[], body = ''): Promise<Heard> => {
    const head = [first, ...headers, 'Connection: close', `Content-Length: ${body.length}`].join('\r\n');
    const [answer] = answersIn(await speakRaw(listening.port, `${head}\r\n\r\n${body}`));
    const problem = answer?.body.startsWith('{"type"') ? problemSchema.parse(JSON.parse(answer.body)) : null;
    return {
      status: answer?.status ?? 0,
      code: problem?.code,
      detail: problem?.detail ?? '',
      body: answer?.body ?? '',
    };
  };
  const get = (path: string, ...headers: string[]): Promise<Heard> => speak(`GET ${path} HTTP/1.1`, headers);
  const post = (path: string, ...headers: string[]): Promise<Heard> => speak(`POST ${path} HTTP/1.1`, headers);

  describe('under a host that is not ours', () => {
    it.each(['/', '/docs', '/openapi.json', '/health', '/metrics', '/model/info', '/api/v1/images/x', '/nothing'])(
      'answers 421 to %s',
      async (path) => {
        const { status, code, detail } = await get(path, 'Host: rebind.test:3000');
        expect({ status, code }).toEqual({ status: 421, code: 'foreign_host' });
        expect(detail).toMatch(/rebind\.test.*ALLOWED_HOSTS/);
      },
    );

    it('answers 421 to changes and to methods that no route has', async () => {
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND']) {
        expect(await speak(`${method} /predict HTTP/1.1`, ['Host: rebind.test'])).toMatchObject({ status: 421 });
      }
    });

    it('keeps the error format of the Open Inference Protocol', async () => {
      const { status, body } = await get('/v2/health/ready', 'Host: rebind.test');
      expect(status).toBe(421);
      expect(JSON.parse(body)).toMatchObject({ code: 'foreign_host' });
      expect(body).toMatch(/"error":"[^"]*ALLOWED_HOSTS/);
    });

    it('still answers probes', async () => {
      expect(await get('/health/live', 'Host: 10.1.2.3:3000')).toMatchObject({ status: 200 });
      expect(await get('/health/ready', 'Host: 10.1.2.3:3000')).toMatchObject({ status: 200 });
    });

    it.each([
      ['an absolute target', 'GET http://rebind.test/health HTTP/1.1', ['Host: localhost']],
      ['a Host behind an absolute target', 'GET http://localhost/health HTTP/1.1', ['Host: rebind.test']],
      ['X-Forwarded-Host', 'GET /health HTTP/1.1', ['Host: rebind.test', 'X-Forwarded-Host: localhost']],
      ['Forwarded', 'GET /health HTTP/1.1', ['Host: rebind.test', 'Forwarded: host=localhost']],
      ['HTTP/1.0', 'GET /health HTTP/1.0', ['Host: rebind.test']],
      ['a name that begins like ours', 'GET /health HTTP/1.1', ['Host: localhost.rebind.test']],
      ['a path that ends like a probe', 'GET /health/live/../../health HTTP/1.1', ['Host: rebind.test']],
    ])('is not deceived by %s', async (_name, first, headers) => {
      expect(await speak(first, headers)).toMatchObject({ status: 421 });
    });
  });

  it.each(['evil@localhost', 'localhost/x', 'a b', '[::1', 'localhost:99999999', ''])(
    'answers 400 to the malformed Host “%s”',
    async (host) => {
      expect(await get('/health', `Host: ${host}`)).toMatchObject({ status: 400, code: 'bad_request' });
    },
  );

  it.each([
    'localhost',
    'LOCALHOST:3000',
    'app.localhost.',
    '127.0.0.1:1',
    '[::1]:3000',
    'models.example.org',
    'a.pods.example.org',
  ])('answers under %s', async (host) => {
    expect(await get('/ping', `Host: ${host}`)).not.toMatchObject({ status: 421 });
    expect(await get('/openapi.json', `Host: ${host}`)).toMatchObject({ status: 200 });
  });

  it('answers HTTP/1.0 without a host, which no browser sends', async () => {
    expect(await speak('GET /openapi.json HTTP/1.0', [])).toMatchObject({ status: 200 });
  });

  describe('to a change that a page of another origin sends', () => {
    it.each([
      ['of another site', ['Origin: http://hostile.test', 'Sec-Fetch-Site: cross-site']],
      ['of another port', ['Origin: http://localhost:8080', 'Sec-Fetch-Site: same-site']],
      ['in a sandbox', ['Origin: null']],
      ['that hides its origin', ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate']],
    ])('%s answers 403 with the reason', async (_name, headers) => {
      for (const path of ['/api/v1/pipelines/retention', '/predict', '/v2/models/m/infer', '/nothing']) {
        const { status, code, detail } = await post(path, 'Host: localhost:3000', ...headers);
        expect({ status, code }).toEqual({ status: 403, code: 'foreign_origin' });
        expect(detail).toMatch(/(Origin|Sec-Fetch-Site) is .*PUBLIC_URL/);
      }
    });

    it('answers before it reads the body', async () => {
      const head = 'POST /predict HTTP/1.1\r\nHost: localhost\r\nOrigin: http://hostile.test\r\n';
      const heard = await speakRaw(listening.port, `${head}Content-Length: 1000000\r\n\r\n`, {
        isEnough: (text) => text.includes('foreign_origin'),
      });
      expect(heard).toMatch(/^HTTP\/1\.1 403 /);
    });
  });

  it.each([
    ['a program', []],
    ['its own page', ['Origin: http://localhost:3000', 'Sec-Fetch-Site: same-origin']],
    ['the page of PUBLIC_URL', ['Origin: https://models.example.org', 'Sec-Fetch-Site: cross-site']],
  ])('carries out what %s sends', async (_name, headers) => {
    expect(await post('/predict', 'Host: localhost:3000', ...headers)).toMatchObject({ status: 503, code: 'no_model' });
  });
});
