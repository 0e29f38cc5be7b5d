import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { batchAnswerSchema } from '../../../contracts/http-predict-batch.js';
import { invocationsResponseSchema, predictionSchema, problemSchema } from '../../../contracts/http.js';
import type { ModelVersion } from '../../../contracts/registry.js';
import { inputSize } from '../../../contracts/training.js';
import { poll } from '../../support/api-client.js';
import { formWith, problemOf, redImage, serves, startApi, type ServedApi } from '../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../support/services.js';

type Body = NonNullable<NonNullable<Parameters<typeof fetch>[1]>['body']>;

const json = { 'content-type': 'application/json' };

/** The ways in which a picture comes to a prediction, on the real engine. */
describe('the prediction routes', () => {
  let services: TestService[];
  let served: ServedApi;
  let version: ModelVersion;
  let pictures: Server;
  let picturesHost: string;
  let red: Buffer;
  const tensor = Array.from({ length: inputSize }, () => Array.from({ length: inputSize }, () => [255, 0, 0]));

  beforeAll(async () => {
    red = await redImage();
    pictures = createServer((request, response) => {
      if (request.url === '/red.png') response.end(red);
      else if (request.url === '/text.png') response.end('I am no picture. '.repeat(40));
      else response.writeHead(404).end();
    });
    pictures.listen(0, '127.0.0.1');
    await once(pictures, 'listening');
    const address = z.object({ port: z.number() }).parse(pictures.address());
    picturesHost = `127.0.0.1:${address.port}`;
    services = await Promise.all([startPostgres(), startObjectStore()]);
    const entries = services.flatMap(({ environment }) => Object.entries(environment));
    served = await startApi({
      ...Object.fromEntries(entries),
      IMAGE_URL_HOSTS: picturesHost,
      PREDICTION_CACHE_ITEMS: '100',
    });
    version = await served.registerTiny();
    await served.promote(version);
    await serves(served, version);
  });
  afterAll(async () => {
    await served.stop();
    pictures.closeAllConnections();
    pictures.close();
    await Promise.all(services.map((service) => service.stop()));
  });

  const send = (path: string, body: Body, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(served.url + path, { method: 'POST', headers, body });
  const sendJson = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    send(path, JSON.stringify(body), { ...json, ...headers });
  const metric = async (series: string): Promise<number> => {
    const lines = (await (await fetch(`${served.url}/metrics`)).text()).split('\n');
    return Number(lines.find((line) => line.startsWith(`${series} `))?.split(' ')[1] ?? Number.NaN);
  };

  describe('POST /predict', () => {
    it.each(['image/png', 'image/jpeg', 'application/octet-stream', 'IMAGE/PNG; q=1'])(
      'takes a picture as it is, as %s',
      async (type) => {
        const prediction = predictionSchema.parse(
          await (await send('/predict', new Uint8Array(red), { 'content-type': type })).json(),
        );
        expect(prediction).toMatchObject({ prediction: 'dandelion', model_version: String(version.version) });
      },
    );

    it('takes it in JSON: as base64 of either alphabet, as data URL, and by its address', async () => {
      const base64 = red.toString('base64');
      const lines = base64.replaceAll(/(.{60})/g, '$1\r\n');
      const images = [base64, lines, red.toString('base64url'), `data:image/png;base64,${base64}`];
      const bodies = [...images.map((image) => ({ image })), { url: `http://${picturesHost}/red.png` }];
      for (const body of bodies) {
        expect(predictionSchema.parse(await (await sendJson('/predict', body)).json()).prediction).toBe('dandelion');
      }
    });

    it.each([
      ['no picture', 400, 'bad_request', {}],
      ['two of them', 400, 'bad_request', { image: 'AAAA', url: 'http://a' }],
      ['a key nobody knows', 400, 'bad_request', { img: 'AAAA' }],
      ['what is no base64', 400, 'bad_request', { image: 'I am no base64!' }],
      ['an empty text', 400, 'bad_request', { image: '' }],
      ['base64 of something else', 415, 'unsupported_type', { image: Buffer.alloc(300, 'text').toString('base64') }],
      ['an address that is not allowed', 422, 'url_not_allowed', { url: 'http://pictures.example/red.png' }],
      ['a list', 400, 'bad_request', [1]],
      ['nothing but null', 400, 'bad_request', null],
    ])('refuses JSON with %s', async (_name, status, code, body) => {
      expect(await problemOf(await sendJson('/predict', body))).toEqual({ status, code });
    });

    it.each([
      ['/missing.png', 422, 'url_unreachable'],
      ['/text.png', 415, 'unsupported_type'],
    ])('tells what is wrong with the address %s', async (path, status, code) => {
      expect(await problemOf(await sendJson('/predict', { url: `http://${picturesHost}${path}` }))).toEqual({
        status,
        code,
      });
    });

    it('refuses an empty body, another type, and one that is too large', async () => {
      const type = { 'content-type': 'image/jpeg' };
      expect(await problemOf(await send('/predict', '', type))).toEqual({ status: 400, code: 'no_file' });
      expect(
        await problemOf(await send('/predict', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' })),
      ).toEqual({
        status: 415,
        code: 'unsupported_type',
      });
      const large = new Uint8Array(served.config.MAX_UPLOAD_BYTES + 1);
      expect(await problemOf(await send('/predict', large, type))).toEqual({ status: 413, code: 'too_large' });
    });

    it('asks for no answer that its client would not wait for', async () => {
      const png = { 'content-type': 'image/png' };
      for (const wrong of ['0', '-1', '1.5', 'soon', '9999999', '']) {
        const response = await send('/predict', new Uint8Array(red), { ...png, 'x-request-timeout-ms': wrong });
        expect(await problemOf(response)).toEqual({ status: 400, code: 'bad_request' });
      }
      const patient = await send('/predict', new Uint8Array(red), { ...png, 'x-request-timeout-ms': '60000' });
      expect(patient.status).toBe(200);
    });
  });

  describe('pictures that come again', () => {
    it('are answered from the cache, each with a prediction of its own', async () => {
      const picture = await redImage(300, 200);
      const before = await metric('mlops_prediction_cache_total{result="hit"}');
      const total = `predictions_total{model_version="${version.version}",predicted_class="dandelion"}`;
      const totalBefore = await metric(total);
      const answers = [];
      for (let time = 0; time < 3; time++) {
        const response = await send('/predict', formWith('file', picture));
        answers.push(predictionSchema.parse(await response.json()));
      }
      expect(new Set(answers.map((answer) => answer.prediction_id)).size).toBe(3);
      expect(new Set(answers.map(({ confidence }) => confidence)).size).toBe(1);
      expect(await metric('mlops_prediction_cache_total{result="hit"}')).toBe(before + 2);
      expect(await metric(total)).toBe(totalBefore + 3);
      await served.api.keeping.predictionLog.flush();
      for (const { prediction_id: id } of answers) {
        expect((await fetch(`${served.url}/api/v1/predictions/${id}`)).status).toBe(200);
      }
    });

    it('are looked at anew by another model', async () => {
      const other = await served.registerTiny({ bias: -3 });
      const picture = new Uint8Array(await redImage(120, 120));
      const ask = async (): Promise<number> =>
        predictionSchema.parse(await (await send('/predict', picture, { 'content-type': 'image/png' })).json())
          .probabilities['dandelion'] ?? 0;
      const first = await ask();
      await served.promote(other);
      await serves(served, other);
      const second = await ask();
      version = await served.registerTiny();
      await served.promote(version);
      await serves(served, version);
      expect(second).toBeLessThan(first);
      expect(await ask()).toBe(first);
    });
  });

  describe('POST /predict/batch', () => {
    const form = (files: readonly (readonly [Uint8Array, string])[], field = 'files'): FormData => {
      const all = new FormData();
      for (const [bytes, name] of files) all.append(field, new Blob([new Uint8Array(bytes)]), name);
      return all;
    };

    it('answers every picture of a form in order, and what is wrong with the bad ones', async () => {
      const files = [
        [red, 'first.png'],
        [Buffer.from('I am no picture. '.repeat(40)), 'text.png'],
        [new Uint8Array(), 'empty.png'],
        [await redImage(64, 32), 'last.png'],
      ] as const;
      const before = await metric('prediction_errors_total{reason="unsupported_type"}');
      const response = await send('/predict/batch', form(files));
      const { items, ...rest } = batchAnswerSchema.parse(await response.json());
      expect(response.status).toBe(200);
      expect(rest).toMatchObject({ succeeded: 2, failed: 2, model_version: String(version.version) });
      expect(items).toMatchObject([
        { index: 0, filename: 'first.png', prediction: 'dandelion' },
        { index: 1, filename: 'text.png', problem: { status: 415, code: 'unsupported_type' } },
        { index: 2, filename: 'empty.png', problem: { status: 400, code: 'no_file' } },
        { index: 3, filename: 'last.png', prediction: 'dandelion' },
      ]);
      expect(await metric('prediction_errors_total{reason="unsupported_type"}')).toBe(before + 1);
    });

    it('takes pictures in JSON, as base64 and by their addresses', async () => {
      const images = [
        { image: red.toString('base64') },
        { url: `http://${picturesHost}/red.png` },
        { url: 'http://pictures.example/red.png' },
        { picture: 1 },
        { url: `http://${picturesHost}/missing.png` },
      ];
      const { items } = batchAnswerSchema.parse(await (await sendJson('/predict/batch', { images })).json());
      const shown = items.map((item) => ('problem' in item ? item.problem.code : item.prediction));
      expect(shown).toEqual(['dandelion', 'dandelion', 'url_not_allowed', 'bad_request', 'url_unreachable']);
      expect(items[3]).toMatchObject({ problem: { errors: [{ pointer: '#/images/3' }, {}] } });
    });

    it('answers as many pictures as it takes, and refuses more at once', async () => {
      const many = (count: number): FormData =>
        form(Array.from({ length: count }, (_, index) => [red, `${index}.png`] as const));
      const { items, succeeded } = batchAnswerSchema.parse(await (await send('/predict/batch', many(100))).json());
      expect(succeeded).toBe(100);
      expect(items.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, index) => index));
      expect(await problemOf(await send('/predict/batch', many(101)))).toEqual({ status: 413, code: 'too_large' });
      expect(await problemOf(await send('/predict/batch', many(5_000)))).toEqual({ status: 413, code: 'too_large' });
      const images = Array.from({ length: 101 }, () => ({ image: 'AAAA' }));
      expect(await problemOf(await sendJson('/predict/batch', { images }))).toEqual({ status: 413, code: 'too_large' });
    });

    it.each([
      ['a form without files', (): Promise<Response> => send('/predict/batch', form([])), 400, 'no_file'],
      [
        'another field',
        (): Promise<Response> => send('/predict/batch', form([[red, 'a.png']], 'file')),
        400,
        'bad_request',
      ],
      ['no images', (): Promise<Response> => sendJson('/predict/batch', { images: [] }), 400, 'bad_request'],
      ['neither images nor a source', (): Promise<Response> => sendJson('/predict/batch', {}), 400, 'bad_request'],
      [
        'a source nobody knows',
        (): Promise<Response> => sendJson('/predict/batch', { source: { kind: 'moon' } }),
        400,
        'bad_request',
      ],
      ['text', (): Promise<Response> => send('/predict/batch', 'hello'), 415, 'unsupported_type'],
    ])('refuses %s', async (_name, ask, status, code) => {
      expect(await problemOf(await ask())).toEqual({ status, code });
    });
  });

  describe('POST /invocations', () => {
    const base64 = (): string => red.toString('base64');
    it.each([
      ['tensors as inputs', () => ({ inputs: [tensor, tensor] }), 2],
      ['named inputs', () => ({ inputs: { image: [tensor] } }), 1],
      ['instances', () => ({ instances: [tensor], params: {} }), 1],
      [
        'named instances, one of them a file',
        () => ({ instances: [{ image: tensor }, { image: base64() }, base64()] }),
        3,
      ],
      [
        'a table with a column of images',
        () => ({ dataframe_split: { columns: ['image'], index: [0, 1], data: [[base64()], [tensor]] } }),
        2,
      ],
      ['a table without names', () => ({ dataframe_split: { data: [[base64()]] } }), 1],
      [
        'a table with a column for each value',
        () => ({
          dataframe_split: { columns: tensor.flat(2).map((_, at) => at), data: [tensor.flat(2)] },
          params: null,
        }),
        1,
      ],
      ['records', () => ({ dataframe_records: [{ image: tensor }, { image: base64() }] }), 2],
    ])('takes %s, and gives a row for each', async (_name, body, count) => {
      const response = await sendJson('/invocations', body(), { 'content-type': 'application/json; charset=utf-8' });
      const { predictions } = invocationsResponseSchema.parse(await response.json());
      expect(predictions).toHaveLength(count);
      for (const [dandelion = 0, grass = 1] of predictions) expect(dandelion).toBeGreaterThan(grass);
      expect(new Set(response.headers.get('x-prediction-ids')?.split(',')).size).toBe(count);
    });

    it('keeps the order of tensors and files', async () => {
      const green = tensor.map((row) => row.map(() => [0, 255, 0]));
      const response = await sendJson('/invocations', { instances: [green, base64(), green, tensor, base64()] });
      const { predictions } = invocationsResponseSchema.parse(await response.json());
      expect(predictions.map(([dandelion = 0, grass = 0]) => dandelion > grass)).toEqual([
        false,
        true,
        false,
        true,
        true,
      ]);
    });

    it('takes gzip', async () => {
      const body = new Uint8Array(gzipSync(JSON.stringify({ inputs: [tensor] })));
      const response = await send('/invocations', body, { ...json, 'content-encoding': 'gzip' });
      expect(invocationsResponseSchema.parse(await response.json()).predictions).toHaveLength(1);
    });

    it.each([
      ['nothing', '', 400, 'bad_request'],
      ['NaN, which JSON does not know', '{"inputs": [[[[NaN]]]]}', 400, 'bad_request'],
      ['Infinity', '{"inputs": [[[[Infinity]]]]}', 400, 'bad_request'],
      ['a bomb of depth', `{"inputs":${'['.repeat(2_000_000)}`, 400, 'bad_request'],
      ['depth that ends', `{"inputs":${'['.repeat(5_000)}${']'.repeat(5_000)}}`, 422, 'invalid_tensor'],
      ['a bomb of empty objects', `{"instances":[${'{},'.repeat(500_000)}{}]}`, 422, 'invalid_tensor'],
      ['numbers beyond all numbers', '{"inputs": [[[[1e999, 0, 0]]]]}', 422, 'invalid_tensor'],
      ['a wrong dtype', '{"inputs": [true]}', 422, 'invalid_tensor'],
      ['null', '{"inputs": [null]}', 422, 'invalid_tensor'],
      ['two shapes at once', '{"inputs": [1], "instances": [1]}', 400, 'bad_request'],
      ['params', '{"inputs": [1], "params": {"temperature": 2}}', 400, 'bad_request'],
      ['another input', '{"inputs": {"pixels": [1]}}', 400, 'bad_request'],
      ['a ragged table', '{"dataframe_split": {"columns": ["image"], "data": [["AAAA", 1]]}}', 422, 'invalid_tensor'],
      ['an empty table', '{"dataframe_split": {"columns": ["image"], "data": []}}', 400, 'bad_request'],
      ['a key of the prototype', '{"__proto__": [1], "inputs": [1]}', 400, 'bad_request'],
      ['text that is no base64', '{"instances": ["not base64!"]}', 400, 'bad_request'],
    ])('refuses %s', async (_name, body, status, code) => {
      expect(await problemOf(await send('/invocations', body, json))).toEqual({ status, code });
    });

    it('refuses ragged and too many images, and points at the place', async () => {
      const ragged = tensor.map((row, y) => (y === 3 ? row.slice(1) : row));
      const problem = problemSchema.parse(
        await (await sendJson('/invocations', { instances: [tensor, { image: ragged }] })).json(),
      );
      expect(problem).toMatchObject({ code: 'invalid_tensor', errors: [{ pointer: '#/instances/1/image/3' }] });
      const many = await sendJson('/invocations', { inputs: Array.from({ length: 101 }, () => base64()) });
      expect(await problemOf(many)).toEqual({ status: 422, code: 'invalid_tensor' });
    });

    it('refuses what gzip inflates beyond the limit, and what is no gzip', async () => {
      const gzip = { ...json, 'content-encoding': 'gzip' };
      const bomb = new Uint8Array(gzipSync(Buffer.alloc(50_000_000, ' ')));
      expect(await problemOf(await send('/invocations', bomb, gzip))).toEqual({ status: 413, code: 'too_large' });
      expect(await problemOf(await send('/invocations', '{"inputs": []}', gzip))).toEqual({
        status: 400,
        code: 'bad_request',
      });
    });

    it('takes UTF-8 alone, and nothing but POST', async () => {
      const latin = await send('/invocations', '{}', { 'content-type': 'application/json; charset=latin1' });
      expect(await problemOf(latin)).toEqual({ status: 415, code: 'unsupported_type' });
      const got = await fetch(`${served.url}/invocations`);
      expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
      expect((await fetch(`${served.url}/ping`)).status).toBe(200);
      expect((await fetch(`${served.url}/version`)).status).toBe(200);
    });
  });

  describe('a client that lies or leaves', () => {
    /** What the server answers to bytes as they stand here. */
    const speak = async (text: string, andLeave: boolean): Promise<string> => {
      const socket = connect(Number(new URL(served.url).port), '127.0.0.1');
      let answer = '';
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      socket.write(text);
      if (andLeave) socket.end();
      await once(socket, 'close');
      return answer;
    };
    const head = (length: string): string =>
      `POST /predict HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\n${length}\r\n`;

    it.each([
      ['more than it sends', head('Content-Length: 1000\r\n') + 'short', true],
      ['a length that is no number', `${head('Content-Length: many\r\n')}short`, false],
      ['two lengths', `${head('Content-Length: 5\r\nContent-Length: 6\r\n')}short`, false],
      ['a length and chunks', `${head('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')}short`, false],
      ['a chunk that is none', `${head('Transfer-Encoding: chunked\r\n')}zz\r\nshort`, false],
    ])('and announces %s costs nobody anything', async (_name, text, andLeave) => {
      expect(await speak(text, andLeave)).toMatch(/^$|^HTTP\/1\.1 400 /);
      expect((await send('/predict', new Uint8Array(red), { 'content-type': 'image/png' })).status).toBe(200);
    });

    it('is in the log of requests and not in that of faults', async () => {
      const series = 'mlops_api_requests_total{method="POST",route="/predict",status="499"}';
      await speak(`${head('Content-Length: 1000\r\n')}short`, true);
      expect(
        await poll(
          () => metric(series),
          (count) => count > 0,
        ),
      ).toBeGreaterThan(0);
      expect((await (await fetch(`${served.url}/metrics`)).text()).match(/status="5\d\d"/)).toBeNull();
    });
  });

  describe('answers', () => {
    it('are compressed when they are long, never when they are predictions', async () => {
      const long = await fetch(`${served.url}/openapi.json`, { headers: { 'accept-encoding': 'gzip' } });
      expect([long.headers.get('content-encoding'), long.headers.get('vary')]).toEqual(['gzip', 'Accept-Encoding']);
      expect(z.looseObject({ openapi: z.string() }).parse(await long.json()).openapi).toMatch(/^3\.1/);
      const plain = await fetch(`${served.url}/openapi.json`, { headers: { 'accept-encoding': 'identity' } });
      expect([plain.headers.get('content-encoding'), plain.headers.get('vary')]).toEqual([null, 'Accept-Encoding']);
      const short = await send('/predict', formWith('file', red), { 'accept-encoding': 'gzip' });
      expect(short.headers.get('content-encoding')).toBeNull();
    });

    it('keep their connections longer than load balancers do', async () => {
      expect((await fetch(`${served.url}/health/live`)).headers.get('keep-alive')).toBe('timeout=75');
    });
  });
});
