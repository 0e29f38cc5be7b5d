import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { invocationsResponseSchema } from '../../../../contracts/inference/http-predict.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { inputSize } from '../../../../contracts/training/training.js';
import { poll } from '../../../support/api-client.js';
import { formWith, problemOf } from '../../../support/served-api.js';
import { jsonHeaders, startPredictionFixture, type PredictionFixture } from '../../../support/prediction-fixture.js';

const tensor = Array.from({ length: inputSize }, () => Array.from({ length: inputSize }, () => [255, 0, 0]));

/** The scoring protocol on the real engine, and how any prediction route handles misbehaving clients. */
describe('invocations', () => {
  let fixture: PredictionFixture;
  let red: Buffer;
  beforeAll(async () => {
    fixture = await startPredictionFixture();
    red = fixture.red;
  });
  afterAll(() => fixture.stop());

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
    ])('takes %s, and returns a row for each', async (_name, body, count) => {
      const response = await fixture.sendJson('/invocations', body(), {
        'content-type': 'application/json; charset=utf-8',
      });
      const { predictions } = invocationsResponseSchema.parse(await response.json());
      expect(predictions).toHaveLength(count);
      for (const [dandelion = 0, grass = 1] of predictions) expect(dandelion).toBeGreaterThan(grass);
      expect(new Set(response.headers.get('x-prediction-ids')?.split(',')).size).toBe(count);
    });

    const normalised = tensor.map((row) => row.map(() => [0.98, 0.02, 0.004]));
    const bodies: [string, object][] = [
      ['inputs', { inputs: [normalised] }],
      ['instances', { instances: [{ image: normalised }] }],
      ['a column of images', { dataframe_split: { data: [[normalised]] } }],
      ['a column for each value', { dataframe_split: { data: [normalised.flat(2)] } }],
      ['records', { dataframe_records: [{ image: normalised }] }],
    ];
    it.each(bodies)('takes an image divided by 255 as %s for what it is, and says so', async (_name, body) => {
      const response = await fixture.sendJson('/invocations', body);
      expect(response.headers.get('x-input-scale')).toBe('1');
      const { predictions } = invocationsResponseSchema.parse(await response.json());
      for (const [dandelion = 0, grass = 1] of predictions) expect(dandelion).toBeGreaterThan(grass);
    });

    it('says that it took whole numbers for pixels, and believes a declared scale', async () => {
      const bits = tensor.map((row) => row.map(() => [1, 0, 0]));
      const scaleOf = async (body: object): Promise<string | null> =>
        (await fixture.sendJson('/invocations', body)).headers.get('x-input-scale');
      expect(await scaleOf({ inputs: [bits] })).toBe('255');
      expect(await scaleOf({ inputs: [bits], scale: 1 })).toBe('1');
      expect(await scaleOf({ inputs: [normalised], params: { scale: 255 } })).toBe('255');
      expect(await scaleOf({ inputs: [base64()] })).toBeNull();
    });

    it.each([
      ['TensorFlow Serving’s instances', (b64: string) => ({ instances: [{ b64 }] })],
      ['the same below the name of an input', (b64: string) => ({ instances: [{ image_bytes: { b64 } }] })],
      ['inputs', (b64: string) => ({ inputs: [{ b64 }] })],
      ['a table', (b64: string) => ({ dataframe_split: { data: [[{ b64 }]] } })],
      ['records', (b64: string) => ({ dataframe_records: [{ image: { b64 } }] })],
    ])('takes {"b64": …} in %s', async (_name, body) => {
      const { predictions } = invocationsResponseSchema.parse(
        await (await fixture.sendJson('/invocations', body(base64()))).json(),
      );
      expect(predictions).toHaveLength(1);
    });

    it('keeps the order of tensors and files', async () => {
      const green = tensor.map((row) => row.map(() => [0, 255, 0]));
      const response = await fixture.sendJson('/invocations', {
        instances: [green, base64(), green, tensor, base64()],
      });
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
      const response = await fixture.send('/invocations', body, { ...jsonHeaders, 'content-encoding': 'gzip' });
      expect(invocationsResponseSchema.parse(await response.json()).predictions).toHaveLength(1);
    });

    it.each([
      ['nothing', '', 400, 'bad_request'],
      ['NaN, which is not JSON', '{"inputs": [[[[NaN]]]]}', 400, 'bad_request'],
      ['Infinity', '{"inputs": [[[[Infinity]]]]}', 400, 'bad_request'],
      ['unbounded depth', `{"inputs":${'['.repeat(2_000_000)}`, 400, 'bad_request'],
      ['great depth', `{"inputs":${'['.repeat(5_000)}${']'.repeat(5_000)}}`, 400, 'bad_request'],
      [
        'thousands of keys',
        `{${Array.from({ length: 20_000 }, (_, key) => `"${key}":0`).join(',')}}`,
        400,
        'bad_request',
      ],
      ['a million empty objects', `{"instances":[${'{},'.repeat(500_000)}{}]}`, 400, 'bad_request'],
      ['numbers above the largest double', '{"inputs": [[[[1e999, 0, 0]]]]}', 422, 'invalid_tensor'],
      ['a wrong dtype', '{"inputs": [true]}', 422, 'invalid_tensor'],
      ['null', '{"inputs": [null]}', 422, 'invalid_tensor'],
      ['two shapes at once', '{"inputs": [1], "instances": [1]}', 400, 'bad_request'],
      ['params', '{"inputs": [1], "params": {"temperature": 2}}', 400, 'bad_request'],
      ['another input', '{"inputs": {"pixels": [1]}}', 400, 'bad_request'],
      ['a ragged table', '{"dataframe_split": {"columns": ["image"], "data": [["AAAA", 1]]}}', 422, 'invalid_tensor'],
      ['an empty table', '{"dataframe_split": {"columns": ["image"], "data": []}}', 400, 'bad_request'],
      ['a key of the prototype', '{"__proto__": [1], "inputs": [1]}', 400, 'bad_request'],
      ['text that is not base64', '{"instances": ["not base64!"]}', 400, 'bad_request'],
    ])('refuses %s', async (_name, body, status, code) => {
      expect(await problemOf(await fixture.send('/invocations', body, jsonHeaders))).toEqual({ status, code });
    });

    it('refuses ragged and too many images, and points at the place', async () => {
      const ragged = tensor.map((row, y) => (y === 3 ? row.slice(1) : row));
      const problem = problemSchema.parse(
        await (await fixture.sendJson('/invocations', { instances: [tensor, { image: ragged }] })).json(),
      );
      expect(problem).toMatchObject({ code: 'invalid_tensor', errors: [{ pointer: '#/instances/1/image/3' }] });
      const many = await fixture.sendJson('/invocations', { inputs: Array.from({ length: 101 }, () => base64()) });
      expect(await problemOf(many)).toEqual({ status: 422, code: 'invalid_tensor' });
    });

    it('refuses gzip that inflates beyond the limit, and data that is not gzip', async () => {
      const gzip = { ...jsonHeaders, 'content-encoding': 'gzip' };
      const bomb = new Uint8Array(gzipSync(Buffer.alloc(50_000_000, ' ')));
      expect(await problemOf(await fixture.send('/invocations', bomb, gzip))).toEqual({
        status: 413,
        code: 'too_large',
      });
      expect(await problemOf(await fixture.send('/invocations', '{"inputs": []}', gzip))).toEqual({
        status: 400,
        code: 'bad_request',
      });
    });

    it('takes only UTF-8, and only POST', async () => {
      const latin = await fixture.send('/invocations', '{}', { 'content-type': 'application/json; charset=latin1' });
      expect(await problemOf(latin)).toEqual({ status: 415, code: 'unsupported_type' });
      const got = await fetch(`${fixture.served.url}/invocations`);
      expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
      expect((await fetch(`${fixture.served.url}/ping`)).status).toBe(200);
      expect((await fetch(`${fixture.served.url}/version`)).status).toBe(200);
    });
  });

  describe('a client with wrong lengths, or that disconnects', () => {
    /** The response of the server to exactly these bytes. */
    const speak = async (text: string, andLeave: boolean): Promise<string> => {
      const socket = connect(Number(new URL(fixture.served.url).port), '127.0.0.1');
      let answer = '';
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      socket.write(text);
      if (andLeave) socket.end();
      await once(socket, 'close');
      return answer;
    };
    const head = (length: string): string =>
      `POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n${length}\r\n`;

    it.each([
      ['more than it sends', head('Content-Length: 1000\r\n') + 'short', true],
      ['a length that is not a number', `${head('Content-Length: many\r\n')}short`, false],
      ['two lengths', `${head('Content-Length: 5\r\nContent-Length: 6\r\n')}short`, false],
      ['a length and chunks', `${head('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')}short`, false],
      ['a malformed chunk', `${head('Transfer-Encoding: chunked\r\n')}zz\r\nshort`, false],
    ])('that announces %s does not affect other clients', async (_name, text, andLeave) => {
      expect(await speak(text, andLeave)).toMatch(/^$|^HTTP\/1\.1 400 /);
      expect((await fixture.send('/predict', new Uint8Array(red), { 'content-type': 'image/png' })).status).toBe(200);
    });

    it('is logged as a request and not as an error', async () => {
      const series = 'mlops_api_requests_total{method="POST",route="/predict",status="499"}';
      await speak(`${head('Content-Length: 1000\r\n')}short`, true);
      expect(
        await poll(
          () => fixture.metric(series),
          (count) => count > 0,
        ),
      ).toBeGreaterThan(0);
      expect((await (await fetch(`${fixture.served.url}/metrics`)).text()).match(/status="5\d\d"/)).toBeNull();
    });
  });

  describe('answers', () => {
    it('are compressed when they are long, but never predictions', async () => {
      const long = await fetch(`${fixture.served.url}/openapi.json`, { headers: { 'accept-encoding': 'gzip' } });
      expect([long.headers.get('content-encoding'), long.headers.get('vary')]).toEqual(['gzip', 'Accept-Encoding']);
      expect(z.looseObject({ openapi: z.string() }).parse(await long.json()).openapi).toMatch(/^3\.1/);
      const plain = await fetch(`${fixture.served.url}/openapi.json`, { headers: { 'accept-encoding': 'identity' } });
      expect([plain.headers.get('content-encoding'), plain.headers.get('vary')]).toEqual([null, 'Accept-Encoding']);
      const short = await fixture.send('/predict', formWith('file', red), { 'accept-encoding': 'gzip' });
      expect(short.headers.get('content-encoding')).toBeNull();
    });

    it('are the bytes of a stored file, compressed or not', async () => {
      const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
      for (const name of ['swagger-ui-bundle.js', 'favicon-32x32.png']) {
        const file = await readFile(join(folder, name));
        for (const encoding of ['gzip', 'identity']) {
          const headers = { 'accept-encoding': encoding };
          const answer = await fetch(`${fixture.served.url}/docs/${name}`, { headers });
          expect(Buffer.from(await answer.arrayBuffer()).equals(file)).toBe(true);
        }
      }
    });

    it('leave connections open longer than load balancers do', async () => {
      expect((await fetch(`${fixture.served.url}/health/live`)).headers.get('keep-alive')).toBe('timeout=75');
    });
  });
});
