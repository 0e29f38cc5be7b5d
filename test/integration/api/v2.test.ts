import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { createApp } from '../../../api/app.js';
import { listen, type Listening } from '../../../api/listen.js';
import {
  v2HeaderLength,
  v2InferResponseSchema,
  v2ModelSchema,
  v2OutputNames,
  v2ProblemSchema,
} from '../../../contracts/http-v2.js';
import { PerennialError } from '../../../contracts/errors.js';
import { emptyDependencies } from '../../support/api-dependencies.js';
import { fakeEngine, predictionOf, servedOf } from '../../support/fake-model.js';
import { postRaw, type RawAnswer } from '../../support/raw-request.js';

const imageBytes = 224 * 224 * 3;
const shape = [1, 224, 224, 3];
const png = Buffer.from('a picture');

/** A body of JSON and binary tensors, and the header that parts them. */
function mixed(request: object, ...tensors: Uint8Array[]): { headers: Record<string, string>; body: Buffer } {
  const json = Buffer.from(JSON.stringify(request));
  return { headers: { [v2HeaderLength]: String(json.length) }, body: Buffer.concat([json, ...tensors]) };
}

function pixels(datatype: string, bytes: Uint8Array, more: object = {}): ReturnType<typeof mixed> {
  const parameters = { binary_data_size: bytes.length };
  return mixed({ inputs: [{ name: 'image', shape, datatype, parameters }], ...more }, bytes);
}

function element(bytes: Uint8Array, length = bytes.length): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(length);
  return Buffer.concat([head, bytes]);
}

describe('the Open Inference Protocol', () => {
  let listening: Listening;
  let url: string;
  let seen: Uint8Array[];
  let current: ReturnType<typeof servedOf> | null;

  beforeAll(async () => {
    const engine = fakeEngine({
      predictPixels: (bytes, count) => {
        seen.push(bytes);
        return Promise.resolve(Array.from({ length: count }, () => predictionOf([0.75, 0.25])));
      },
      predictImage: (bytes) => {
        seen.push(bytes);
        if (bytes.length > 0) return Promise.resolve(predictionOf([0.25, 0.75]));
        return Promise.reject(new PerennialError('undecodable_image', 'There are no bytes.'));
      },
    });
    current = servedOf(engine, 7);
    listening = await listen(createApp(emptyDependencies({ host: { current: () => current } })), '127.0.0.1', 0);
    url = `http://127.0.0.1:${listening.port}/v2`;
  });
  beforeEach(() => {
    seen = [];
  });
  afterAll(() => listening.stop(1_000));

  const post = ({
    headers,
    body,
  }: {
    headers: Record<string, string>;
    body: Uint8Array | string;
  }): Promise<RawAnswer> =>
    postRaw(`${url}/models/a_model/infer`, { 'content-length': String(Buffer.byteLength(body)), ...headers }, [body]);
  const ask = (request: unknown): Promise<RawAnswer> =>
    post({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(request) });
  const answerOf = ({ status, body }: RawAnswer): z.infer<typeof v2InferResponseSchema> => {
    if (status !== 200) throw new Error(body);
    return v2InferResponseSchema.parse(JSON.parse(body));
  };
  const refusalOf = ({ headers, body }: RawAnswer): { status: number; code: string; error: string } => {
    expect(headers['content-type']).toBe('application/json');
    const { status, code, error, detail } = v2ProblemSchema.parse(JSON.parse(body));
    expect(error).toBe(detail);
    return { status, code, error };
  };

  it('takes pixels in binary where they lie, without a copy in between', async () => {
    const bytes = Buffer.alloc(imageBytes, 7);
    const { id, outputs, parameters, ...rest } = answerOf(await post(pixels('UINT8', bytes)));
    expect(rest).toEqual({ model_name: 'a_model', model_version: '7' });
    expect(id).toBe(parameters.prediction_id);
    expect(outputs.map(({ name }) => name)).toEqual([...v2OutputNames]);
    expect(outputs[0]).toEqual({ name: 'probabilities', datatype: 'FP32', shape: [1, 2], data: [0.75, 0.25] });
    expect(seen).toHaveLength(1);
    expect(bytes.equals(seen[0] ?? Buffer.alloc(0))).toBe(true);
    expect(seen[0]?.buffer.byteLength).toBeGreaterThan(imageBytes);
  });

  it('takes a body that is nothing but pixels, and answers in binary', async () => {
    const answer = await post({ headers: { [v2HeaderLength]: '0' }, body: Buffer.alloc(imageBytes * 2) });
    expect(answer.headers['content-type']).toBe('application/octet-stream');
    const head = answer.body.slice(0, Number(answer.headers['inference-header-content-length']));
    const { outputs } = v2InferResponseSchema.parse(JSON.parse(head));
    expect(outputs[0]).toMatchObject({ shape: [2, 2], parameters: { binary_data_size: 16 } });
  });

  it.each([
    ['UINT8', 1],
    ['INT8', 1],
    ['UINT16', 2],
    ['INT16', 2],
    ['UINT32', 4],
    ['INT32', 4],
    ['UINT64', 8],
    ['INT64', 8],
    ['FP32', 4],
    ['FP64', 8],
  ])('reads little-endian %s', async (datatype, width) => {
    const bytes = Buffer.alloc(imageBytes * width);
    for (let at = 0; at < imageBytes; at++) {
      if (datatype === 'FP32') bytes.writeFloatLE(at % 128, at * width);
      else if (datatype === 'FP64') bytes.writeDoubleLE(at % 128, at * width);
      else bytes.writeUIntLE(at % 128, at * width, Math.min(width, 6));
    }
    expect((await post(pixels(datatype, bytes))).status).toBe(200);
    expect(seen[0]?.subarray(125, 130)).toEqual(new Uint8Array([125, 126, 127, 0, 1]).subarray(0, 5));
  });

  it('rounds what lies between two shades, and takes flat and nested lists', async () => {
    const flat = Array.from({ length: imageBytes }, (_, at) => (at % 3 === 0 ? 254.6 : at % 3));
    const rows = Array.from({ length: 224 }, () => Array.from({ length: 224 }, () => [254.6, 1, 2]));
    for (const data of [flat, [flat], [rows]]) {
      answerOf(await ask({ inputs: [{ name: 'image', shape, datatype: 'FP32', data }] }));
    }
    expect(seen.map((each) => [...each.subarray(0, 4)])).toEqual(Array.from({ length: 3 }, () => [255, 1, 2, 255]));
  });

  it('takes files as BYTES, in binary and in base64', async () => {
    const tensor = { name: 'image', datatype: 'BYTES', shape: [2] };
    const binary = Buffer.concat([element(png), element(png)]);
    const parameters = { binary_data_size: binary.length };
    answerOf(await post(mixed({ inputs: [{ ...tensor, parameters }] }, binary)));
    const text = png.toString('base64');
    answerOf(await ask({ inputs: [{ ...tensor, shape: [2, 1], data: [[text], [text]] }] }));
    expect(seen.map((each) => Buffer.from(each).toString())).toEqual(Array.from({ length: 4 }, () => 'a picture'));
  });

  it('answers what was asked for, in its order, and echoes the id', async () => {
    const outputs = [{ name: 'label' }, { name: 'probabilities', parameters: { classification: 1 } }];
    const answer = answerOf(await post(pixels('UINT8', Buffer.alloc(imageBytes), { id: '42', outputs })));
    expect(answer.id).toBe('42');
    expect(answer.parameters.prediction_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.outputs).toEqual([
      { name: 'label', datatype: 'BYTES', shape: [1], data: ['a'] },
      { name: 'probabilities', datatype: 'BYTES', shape: [1, 1], data: ['0.750000:0:a'] },
    ]);
  });

  it('mixes JSON and binary outputs', async () => {
    const outputs = [{ name: 'label', parameters: { binary_data: false } }, { name: 'confidence' }];
    const request = { parameters: { binary_data_output: true }, outputs };
    const { body, headers } = await post(pixels('UINT8', Buffer.alloc(imageBytes), request));
    const length = Number(headers['inference-header-content-length']);
    const answer = v2InferResponseSchema.parse(JSON.parse(body.slice(0, length)));
    expect(answer.outputs).toEqual([
      { name: 'label', datatype: 'BYTES', shape: [1], data: ['a'] },
      { name: 'confidence', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } },
    ]);
    expect(Number(headers['content-length'])).toBe(length + 4);
  });

  const image = { name: 'image', shape, datatype: 'UINT8' };
  const flat = Array.from({ length: imageBytes }, () => 1);
  const one = (more: object): object => ({ inputs: [{ ...image, ...more }] });
  it.each<[string, number, string, object]>([
    ['no inputs', 400, '#/inputs', { inputs: [] }],
    ['two inputs', 400, '#/inputs', { inputs: [image, image] }],
    ['another input', 400, '#/inputs/0/name', { inputs: [{ ...image, name: 'input0', data: flat }] }],
    ['no data', 400, '#/inputs/0', one({})],
    ['data twice', 400, '#/inputs/0', one({ data: flat, parameters: { binary_data_size: 3 } })],
    ['a datatype there is not', 400, '#/inputs/0/datatype', one({ data: flat, datatype: 'FLOAT' })],
    ['truth values', 422, '#/inputs/0/datatype', one({ data: flat, datatype: 'BOOL' })],
    ['FP16 in JSON', 422, '#/inputs/0/datatype', one({ data: flat, datatype: 'FP16' })],
    ['a negative dimension', 400, '#/inputs/0/shape/0', one({ data: flat, shape: [-1, 224, 224, 3] })],
    ['a fraction of an image', 400, '#/inputs/0/shape/0', one({ data: flat, shape: [0.5, 224, 224, 3] })],
    ['more dimensions than there can be', 400, '#/inputs/0/shape', one({ data: flat, shape: Array(9).fill(1) })],
    ['no dimensions', 422, '#/inputs/0/shape', one({ data: flat, shape: [] })],
    ['channels first', 422, '#/inputs/0/shape', one({ data: flat, shape: [1, 3, 224, 224] })],
    ['no images', 422, '#/inputs/0/shape/0', one({ data: [], shape: [0, 224, 224, 3] })],
    ['a million images', 422, '#/inputs/0/shape/0', one({ data: flat, shape: [1_000_000, 224, 224, 3] })],
    ['more than there are numbers', 422, '#/inputs/0/shape/0', one({ shape: [2 ** 52, 224, 224, 3], data: [] })],
    ['fewer numbers than its shape', 422, '#/inputs/0/data', one({ data: flat.slice(1) })],
    ['ragged lists', 422, '#/inputs/0/data/0', one({ data: [Array.from({ length: 223 }, () => [])] })],
    ['lists among numbers', 422, '#/inputs/0/data/1', one({ data: [1, [2], ...flat.slice(2)] })],
    ['text among numbers', 422, '#/inputs/0/data/1', one({ data: [1, '2', ...flat.slice(2)] })],
    ['a null', 422, '#/inputs/0/data/0', one({ data: [null, ...flat.slice(1)] })],
    ['a number above 255', 422, '#/inputs/0/data/0', one({ data: [255.1, ...flat.slice(1)] })],
    ['data that is no list', 422, '#/inputs/0/data', one({ data: { 0: 1 } })],
    ['an unknown output', 400, '#/outputs/0/name', { ...one({ data: flat }), outputs: [{ name: 'logits' }] }],
    ['files that are no text', 422, '#/inputs/0/data/0', one({ datatype: 'BYTES', shape: [1], data: [1] })],
    ['files that are no base64', 400, '#/inputs/0/data/0', one({ datatype: 'BYTES', shape: [1], data: ['?!'] })],
    ['fewer files than said', 422, '#/inputs/0/data', one({ datatype: 'BYTES', shape: [2], data: ['AAAA'] })],
    [
      'a thousand files',
      422,
      '#/inputs/0/shape/0',
      one({ datatype: 'BYTES', shape: [1000], data: Array(1000).fill('AAAA') }),
    ],
    ['a negative size', 400, '#/inputs/0/parameters/binary_data_size', one({ parameters: { binary_data_size: -1 } })],
    [
      'a size of nothing behind it',
      400,
      '#/inputs/0/parameters/binary_data_size',
      one({ parameters: { binary_data_size: 9 } }),
    ],
    ['a list in the place of the request', 400, '#', []],
  ])('refuses %s with %i at its place', async (_name, status, pointer, request) => {
    const refusal = refusalOf(await ask(request));
    expect({ status: refusal.status, at: refusal.error.split(': ')[0] }).toEqual({ status, at: pointer });
    expect(seen).toEqual([]);
  });

  const floats = (value: number): Buffer => Buffer.from(Float32Array.from({ length: imageBytes }, () => value).buffer);
  it.each<[string, number, () => { headers: Record<string, string>; body: Uint8Array | string }]>([
    ['NaN', 422, (): ReturnType<typeof mixed> => pixels('FP32', floats(Number.NaN))],
    ['infinity', 422, (): ReturnType<typeof mixed> => pixels('FP32', floats(Infinity))],
    ['negative numbers', 422, (): ReturnType<typeof mixed> => pixels('INT8', Buffer.alloc(imageBytes, 0xff))],
    ['huge integers', 422, (): ReturnType<typeof mixed> => pixels('UINT64', Buffer.alloc(imageBytes * 8, 0xff))],
    ['half a number too little', 422, (): ReturnType<typeof mixed> => pixels('FP32', floats(1).subarray(2))],
    ['bytes of another datatype', 422, (): ReturnType<typeof mixed> => pixels('UINT8', floats(1))],
    [
      'a truncated tensor',
      400,
      (): ReturnType<typeof mixed> => {
        const { headers, body } = pixels('UINT8', Buffer.alloc(imageBytes));
        return { headers, body: body.subarray(0, -1) };
      },
    ],
    [
      'bytes that nobody announced',
      400,
      (): ReturnType<typeof mixed> => {
        const { headers, body } = pixels('UINT8', Buffer.alloc(imageBytes));
        return { headers, body: Buffer.concat([body, Buffer.alloc(1)]) };
      },
    ],
    ['JSON said to be longer than the body', 400, () => ({ headers: { [v2HeaderLength]: '9999999' }, body: '{}' })],
    ['JSON said to be shorter', 400, () => ({ headers: { [v2HeaderLength]: '1' }, body: '{}' })],
    ['a header that is no number', 400, () => ({ headers: { [v2HeaderLength]: '0x10' }, body: '{}' })],
    ['a negative header', 400, () => ({ headers: { [v2HeaderLength]: '-2' }, body: '{}' })],
    ['pixels alone that fill no image', 422, () => ({ headers: { [v2HeaderLength]: '0' }, body: Buffer.alloc(5) })],
    ['nothing at all', 400, () => ({ headers: {}, body: '' })],
    ['a bracket ten million times', 400, () => ({ headers: {}, body: '['.repeat(10_000_000) })],
    ['ten million empty lists', 400, () => ({ headers: {}, body: `[${'[],'.repeat(10_000_000)}[]]` })],
    ['what is not UTF-8', 400, () => ({ headers: {}, body: Buffer.from([0x7b, 0xff, 0x7d]) })],
    ['NaN in JSON', 400, () => ({ headers: {}, body: '{"inputs":[NaN]}' })],
    ['a form', 415, () => ({ headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: '--b--' })],
    ['gzip that is none', 400, () => ({ headers: { 'content-encoding': 'gzip' }, body: 'no gzip' })],
    [
      'half of a compressed body',
      400,
      () => ({ headers: { 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(9_999)).subarray(0, 20) }),
    ],
    [
      'a body that is small only until it is unpacked',
      413,
      () => ({ headers: { 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(40_000_000)) }),
    ],
    ['an encoding nobody undoes', 415, () => ({ headers: { 'content-encoding': 'zstd' }, body: '{}' })],
    ['a time that is none', 400, () => ({ headers: { 'x-request-timeout-ms': 'soon' }, body: '{}' })],
  ])('refuses %s with %i', async (_name, status, make) => {
    expect(refusalOf(await post(make())).status).toBe(status);
    expect(seen).toEqual([]);
  });

  it.each<[string, number[], Buffer]>([
    ['a length beyond the end', [1], element(png, 4_000_000_000)],
    ['half a length', [2], Buffer.concat([element(png), Buffer.alloc(3)])],
    ['more elements than its shape', [1], Buffer.concat([element(png), element(png)])],
  ])('refuses files with %s', async (_name, tensorShape, bytes) => {
    const input = {
      name: 'image',
      datatype: 'BYTES',
      shape: tensorShape,
      parameters: { binary_data_size: bytes.length },
    };
    expect(refusalOf(await post(mixed({ inputs: [input] }, bytes)))).toMatchObject({
      status: 422,
      code: 'invalid_tensor',
    });
    expect(seen).toEqual([]);
  });

  it('says which file cannot be read', async () => {
    const bytes = Buffer.concat([element(png), element(Buffer.alloc(0))]);
    const input = { name: 'image', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: bytes.length } };
    const refusal = refusalOf(await post(mixed({ inputs: [input] }, bytes)));
    expect(refusal).toMatchObject({ status: 422, code: 'undecodable_image' });
    expect(refusal.error).toMatch(/^#\/inputs\/0\/data\/1: /);
  });

  it.each([
    ['GET', '/models/other', 404],
    ['GET', '/models/a_model/versions/8', 404],
    ['GET', '/models/a_model/versions/7%00', 404],
    ['GET', '/models/..%2f..%2fetc%2fpasswd/ready', 404],
    ['POST', '/models/other/infer', 404],
    ['POST', '/models/a_model/versions/8/infer', 404],
    ['GET', '/models/%ff', 400],
    ['GET', '/repository/index', 404],
    ['GET', '/models/a_model/infer', 405],
    ['DELETE', '', 405],
  ])('answers %s /v2%s with %i in the dialect of the protocol', async (method, path, status) => {
    const response = await fetch(url + path, { method });
    const answer = { status: response.status, headers: { 'content-type': response.headers.get('content-type') ?? '' } };
    expect(refusalOf({ ...answer, body: await response.text() }).status).toBe(status);
  });

  it('describes the model under both of its paths', async () => {
    const [plain, versioned] = await Promise.all(
      ['/models/a_model', '/models/a_model/versions/7'].map(async (path) => (await fetch(url + path)).json()),
    );
    expect(versioned).toEqual(plain);
    expect(v2ModelSchema.parse(plain)).toMatchObject({ name: 'a_model', versions: ['7'], platform: 'onnx_onnxv1' });
  });

  it('lives without a model, and is not ready', async () => {
    const served = current;
    current = null;
    try {
      const get = async (path: string): Promise<unknown> => {
        const response = await fetch(url + path);
        return {
          status: response.status,
          ...z
            .object({})
            .loose()
            .parse(await response.json()),
        };
      };
      expect(await get('/health/live')).toEqual({ status: 200, live: true });
      expect(await get('/health/ready')).toEqual({ status: 503, ready: false, live: true });
      expect(await get('/models/a_model/ready')).toEqual({ status: 503, name: 'a_model', ready: false });
      expect(await get('/models/a_model')).toMatchObject({ status: 503, code: 'no_model' });
      expect(refusalOf(await ask(one({ data: flat }))).code).toBe('no_model');
    } finally {
      current = served;
    }
  });
});
