import { z } from 'zod';
import {
  v2HeaderLength,
  v2InferResponseSchema,
  v2ModelSchema,
  v2OutputNames,
} from '../../../../contracts/inference/http-v2.js';
import {
  answerOf,
  element,
  imageBytes,
  imageShape as shape,
  mixed,
  pixels,
  refusalOf,
  startV2Fixture,
  type InferPost,
  type V2Fixture,
} from '../../../support/v2-fixture.js';

const png = Buffer.from('a picture');

describe('the Open Inference Protocol', () => {
  let fixture: V2Fixture;

  beforeAll(async () => {
    fixture = await startV2Fixture();
  });
  beforeEach(() => {
    fixture.seen = [];
  });
  afterAll(() => fixture.stop());

  it('takes binary pixels without a copy', async () => {
    const bytes = Buffer.alloc(imageBytes, 7);
    const { id, outputs, parameters, ...rest } = answerOf(await fixture.post(pixels('UINT8', bytes)));
    expect(rest).toEqual({ model_name: 'a_model', model_version: '7' });
    expect(id).toBe(parameters.prediction_id);
    expect(outputs.map(({ name }) => name)).toEqual([...v2OutputNames]);
    expect(outputs[0]).toEqual({ name: 'probabilities', datatype: 'FP32', shape: [1, 2], data: [0.75, 0.25] });
    expect(fixture.seen).toHaveLength(1);
    expect(bytes.equals(fixture.seen[0] ?? Buffer.alloc(0))).toBe(true);
    expect(fixture.seen[0]?.buffer.byteLength).toBeGreaterThan(imageBytes);
  });

  it('takes a body of raw pixels, and answers in binary', async () => {
    const answer = await fixture.post({ headers: { [v2HeaderLength]: '0' }, body: Buffer.alloc(imageBytes * 2) });
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
    expect((await fixture.post(pixels(datatype, bytes))).status).toBe(200);
    expect(fixture.seen[0]?.subarray(125, 130)).toEqual(new Uint8Array([125, 126, 127, 0, 1]).subarray(0, 5));
  });

  it('rounds fractions, and takes flat and nested lists', async () => {
    const flat = Array.from({ length: imageBytes }, (_, at) => (at % 3 === 0 ? 254.6 : at % 3));
    const rows = Array.from({ length: 224 }, () => Array.from({ length: 224 }, () => [254.6, 1, 2]));
    for (const data of [flat, [flat], [rows]]) {
      answerOf(await fixture.ask({ inputs: [{ name: 'image', shape, datatype: 'FP32', data }] }));
    }
    expect(fixture.seen.map((each) => [...each.subarray(0, 4)])).toEqual(
      Array.from({ length: 3 }, () => [255, 1, 2, 255]),
    );
  });

  const half = (value: number): number => ({ 0: 0, 0.2: 0x3266, 0.6: 0x38cd, 1: 0x3c00 })[value] ?? 0;
  const encodings: [string, (values: readonly number[]) => InferPost][] = [
    ['FP32', (values) => pixels('FP32', Buffer.from(Float32Array.from(values).buffer))],
    ['FP64', (values) => pixels('FP64', Buffer.from(Float64Array.from(values).buffer))],
    ['FP16', (values) => pixels('FP16', Buffer.from(Uint16Array.from(values, half).buffer))],
    [
      'JSON',
      (data) => ({
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: [{ name: 'image', shape, datatype: 'FP32', data }] }),
      }),
    ],
  ];
  it.each(encodings)(
    'takes fractions from 0 to 1 in %s as an image that was divided by 255, and says so',
    async (_name, encode) => {
      const normalised = Array.from({ length: imageBytes }, (_, at) => [0, 0.2, 0.6, 1][at % 4] ?? 0);
      expect(answerOf(await fixture.post(encode(normalised))).parameters.scale).toBe(1);
      expect([...(fixture.seen[0] ?? [])].slice(0, 4)).toEqual([0, 51, 153, 255]);
      const bits = Array.from({ length: imageBytes }, (_, at) => at % 2);
      expect(answerOf(await fixture.post(encode(bits))).parameters.scale).toBe(255);
      expect([...(fixture.seen[1] ?? [])].slice(0, 2)).toEqual([0, 1]);
    },
  );

  it('believes a declared scale, and refuses what contradicts it', async () => {
    const ask = (value: number, scale: unknown, datatype = 'FP32'): ReturnType<typeof fixture.ask> => {
      const data = Array.from({ length: imageBytes }, () => value);
      return fixture.ask({ inputs: [{ name: 'image', shape, datatype, data, parameters: { scale } }] });
    };
    expect(answerOf(await ask(1, 1, 'UINT8')).parameters.scale).toBe(1);
    expect(answerOf(await ask(0.9, 255)).parameters.scale).toBe(255);
    expect(fixture.seen.map(([first]) => first)).toEqual([255, 1]);
    expect(refusalOf(await ask(2, 1))).toMatchObject({ status: 422, code: 'invalid_tensor' });
    expect(refusalOf(await ask(2, 2))).toMatchObject({ status: 400, at: '#/inputs/0/parameters/scale' });
    expect(refusalOf(await ask(-0.5, undefined)).error).toContain('Send (x + 1) / 2 for each x with "scale": 1');
  });

  it('takes files as BYTES, in binary and in base64', async () => {
    const tensor = { name: 'image', datatype: 'BYTES', shape: [2] };
    const binary = Buffer.concat([element(png), element(png)]);
    const parameters = { binary_data_size: binary.length };
    answerOf(await fixture.post(mixed({ inputs: [{ ...tensor, parameters }] }, binary)));
    const text = png.toString('base64');
    answerOf(await fixture.ask({ inputs: [{ ...tensor, shape: [2, 1], data: [[text], [text]] }] }));
    expect(fixture.seen.map((each) => Buffer.from(each).toString())).toEqual(
      Array.from({ length: 4 }, () => 'a picture'),
    );
  });

  it('treats null `data` as omitted, because clients in other languages send it', async () => {
    const file = element(png);
    const part = { name: 'image', data: null };
    const files = { ...part, datatype: 'BYTES', shape: [1], parameters: { binary_data_size: file.length } };
    answerOf(await fixture.post(mixed({ inputs: [files] }, file)));
    const bytes = Buffer.alloc(imageBytes, 9);
    const plain = { ...part, datatype: 'UINT8', shape, parameters: { binary_data_size: bytes.length } };
    answerOf(await fixture.post(mixed({ inputs: [plain] }, bytes)));
    expect(fixture.seen.map((each) => each.length)).toEqual([png.length, imageBytes]);
  });

  it('returns the requested outputs in the requested order, and echoes the id', async () => {
    const outputs = [{ name: 'label' }, { name: 'probabilities', parameters: { classification: 1 } }];
    const answer = answerOf(await fixture.post(pixels('UINT8', Buffer.alloc(imageBytes), { id: '42', outputs })));
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
    const { body, headers } = await fixture.post(pixels('UINT8', Buffer.alloc(imageBytes), request));
    const length = Number(headers['inference-header-content-length']);
    const answer = v2InferResponseSchema.parse(JSON.parse(body.slice(0, length)));
    expect(answer.outputs).toEqual([
      { name: 'label', datatype: 'BYTES', shape: [1], data: ['a'] },
      { name: 'confidence', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } },
    ]);
    expect(Number(headers['content-length'])).toBe(length + 4);
  });

  it('describes the model under both of its paths', async () => {
    const [plain, versioned] = await Promise.all(
      ['/models/a_model', '/models/a_model/versions/7'].map(async (path) => (await fetch(fixture.url + path)).json()),
    );
    expect(versioned).toEqual(plain);
    expect(v2ModelSchema.parse(plain)).toMatchObject({ name: 'a_model', versions: ['7'], platform: 'onnx_onnxv1' });
  });

  it('is live but not ready without a model', async () => {
    fixture.isLoaded = false;
    try {
      const get = async (path: string): Promise<unknown> => {
        const response = await fetch(fixture.url + path);
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
      expect(refusalOf(await fixture.ask({ inputs: [] })).code).toBe('no_model');
    } finally {
      fixture.isLoaded = true;
    }
  });
});
