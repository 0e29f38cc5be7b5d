import { gzipSync } from 'node:zlib';
import { v2HeaderLength } from '../../../../contracts/inference/http-v2.js';
import {
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

describe('the Open Inference Protocol with bad input', () => {
  let fixture: V2Fixture;

  beforeAll(async () => {
    fixture = await startV2Fixture();
  });
  beforeEach(() => {
    fixture.seen = [];
  });
  afterAll(() => fixture.stop());

  const image = { name: 'image', shape, datatype: 'UINT8' };
  const flat = Array.from({ length: imageBytes }, () => 1);
  const one = (more: object): object => ({ inputs: [{ ...image, ...more }] });
  it.each<[string, number, string, object]>([
    ['no inputs', 400, '#/inputs', { inputs: [] }],
    ['two inputs', 400, '#/inputs', { inputs: [image, image] }],
    ['another input', 400, '#/inputs/0/name', { inputs: [{ ...image, name: 'input0', data: flat }] }],
    ['no data', 400, '#/inputs/0', one({})],
    ['data twice', 400, '#/inputs/0', one({ data: flat, parameters: { binary_data_size: 3 } })],
    ['an unknown datatype', 400, '#/inputs/0/datatype', one({ data: flat, datatype: 'FLOAT' })],
    ['truth values', 422, '#/inputs/0/datatype', one({ data: flat, datatype: 'BOOL' })],
    ['FP16 in JSON', 422, '#/inputs/0/datatype', one({ data: flat, datatype: 'FP16' })],
    ['a negative dimension', 400, '#/inputs/0/shape/0', one({ data: flat, shape: [-1, 224, 224, 3] })],
    ['a fraction of an image', 400, '#/inputs/0/shape/0', one({ data: flat, shape: [0.5, 224, 224, 3] })],
    ['too many dimensions', 400, '#/inputs/0/shape', one({ data: flat, shape: Array(9).fill(1) })],
    ['no dimensions', 422, '#/inputs/0/shape', one({ data: flat, shape: [] })],
    ['channels first', 422, '#/inputs/0/shape', one({ data: flat, shape: [1, 3, 224, 224] })],
    ['no images', 422, '#/inputs/0/shape/0', one({ data: [], shape: [0, 224, 224, 3] })],
    ['a million images', 422, '#/inputs/0/shape/0', one({ data: flat, shape: [1_000_000, 224, 224, 3] })],
    [
      'more numbers than a double can count',
      422,
      '#/inputs/0/shape/0',
      one({ shape: [2 ** 52, 224, 224, 3], data: [] }),
    ],
    ['fewer numbers than the shape needs', 422, '#/inputs/0/data', one({ data: flat.slice(1) })],
    ['ragged lists', 422, '#/inputs/0/data/0', one({ data: [Array.from({ length: 223 }, () => [])] })],
    ['lists among numbers', 422, '#/inputs/0/data/1', one({ data: [1, [2], ...flat.slice(2)] })],
    ['text among numbers', 422, '#/inputs/0/data/1', one({ data: [1, '2', ...flat.slice(2)] })],
    ['a null', 422, '#/inputs/0/data/0', one({ data: [null, ...flat.slice(1)] })],
    ['a number above 255', 422, '#/inputs/0/data/0', one({ data: [255.1, ...flat.slice(1)] })],
    ['data that is not a list', 422, '#/inputs/0/data', one({ data: { 0: 1 } })],
    ['an unknown output', 400, '#/outputs/0/name', { ...one({ data: flat }), outputs: [{ name: 'logits' }] }],
    ['files that are not text', 422, '#/inputs/0/data/0', one({ datatype: 'BYTES', shape: [1], data: [1] })],
    ['files that are not base64', 400, '#/inputs/0/data/0', one({ datatype: 'BYTES', shape: [1], data: ['?!'] })],
    [
      'fewer files than the shape needs',
      422,
      '#/inputs/0/data',
      one({ datatype: 'BYTES', shape: [2], data: ['AAAA'] }),
    ],
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
    const refusal = refusalOf(await fixture.ask(request));
    expect(refusal).toMatchObject({ status, at: pointer });
    expect(fixture.seen).toEqual([]);
  });

  const floats = (value: number): Buffer => Buffer.from(Float32Array.from({ length: imageBytes }, () => value).buffer);
  it.each<[string, number, () => InferPost]>([
    ['NaN', 422, (): InferPost => pixels('FP32', floats(Number.NaN))],
    ['infinity', 422, (): InferPost => pixels('FP32', floats(Infinity))],
    ['negative numbers', 422, (): InferPost => pixels('INT8', Buffer.alloc(imageBytes, 0xff))],
    ['huge integers', 422, (): InferPost => pixels('UINT64', Buffer.alloc(imageBytes * 8, 0xff))],
    ['half a number too few', 422, (): InferPost => pixels('FP32', floats(1).subarray(2))],
    ['bytes of another datatype', 422, (): InferPost => pixels('UINT8', floats(1))],
    [
      'a truncated tensor',
      400,
      (): InferPost => {
        const { headers, body } = pixels('UINT8', Buffer.alloc(imageBytes));
        return { headers, body: body.subarray(0, -1) };
      },
    ],
    [
      'bytes without an announced tensor',
      400,
      (): InferPost => {
        const { headers, body } = pixels('UINT8', Buffer.alloc(imageBytes));
        return { headers, body: Buffer.concat([body, Buffer.alloc(1)]) };
      },
    ],
    ['a JSON length beyond the body', 400, () => ({ headers: { [v2HeaderLength]: '9999999' }, body: '{}' })],
    ['a JSON length that is too short', 400, () => ({ headers: { [v2HeaderLength]: '1' }, body: '{}' })],
    ['a header that is not a number', 400, () => ({ headers: { [v2HeaderLength]: '0x10' }, body: '{}' })],
    ['a negative header', 400, () => ({ headers: { [v2HeaderLength]: '-2' }, body: '{}' })],
    [
      'raw pixels that do not fill an image',
      422,
      () => ({ headers: { [v2HeaderLength]: '0' }, body: Buffer.alloc(5) }),
    ],
    ['nothing at all', 400, () => ({ headers: {}, body: '' })],
    ['a bracket ten million times', 400, () => ({ headers: {}, body: '['.repeat(10_000_000) })],
    ['ten million empty lists', 400, () => ({ headers: {}, body: `[${'[],'.repeat(10_000_000)}[]]` })],
    ['what is not UTF-8', 400, () => ({ headers: {}, body: Buffer.from([0x7b, 0xff, 0x7d]) })],
    ['NaN in JSON', 400, () => ({ headers: {}, body: '{"inputs":[NaN]}' })],
    ['a form', 415, () => ({ headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: '--b--' })],
    ['a body that is not gzip', 400, () => ({ headers: { 'content-encoding': 'gzip' }, body: 'no gzip' })],
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
    ['an unsupported encoding', 415, () => ({ headers: { 'content-encoding': 'zstd' }, body: '{}' })],
    ['an invalid timeout', 400, () => ({ headers: { 'x-request-timeout-ms': 'soon' }, body: '{}' })],
  ])('refuses %s with %i', async (_name, status, make) => {
    expect(refusalOf(await fixture.post(make())).status).toBe(status);
    expect(fixture.seen).toEqual([]);
  });

  it.each<[string, number[], Buffer]>([
    ['a length beyond the end', [1], element(png, 4_000_000_000)],
    ['half a length', [2], Buffer.concat([element(png), Buffer.alloc(3)])],
    ['more elements than the shape has', [1], Buffer.concat([element(png), element(png)])],
  ])('refuses files with %s', async (_name, tensorShape, bytes) => {
    const input = {
      name: 'image',
      datatype: 'BYTES',
      shape: tensorShape,
      parameters: { binary_data_size: bytes.length },
    };
    expect(refusalOf(await fixture.post(mixed({ inputs: [input] }, bytes)))).toMatchObject({
      status: 422,
      code: 'invalid_tensor',
    });
    expect(fixture.seen).toEqual([]);
  });

  it('names the file that cannot be decoded', async () => {
    const bytes = Buffer.concat([element(png), element(Buffer.alloc(0))]);
    const input = { name: 'image', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: bytes.length } };
    const refusal = refusalOf(await fixture.post(mixed({ inputs: [input] }, bytes)));
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
  ])('answers %s /v2%s with %i in the error format of the protocol', async (method, path, status) => {
    const response = await fetch(fixture.url + path, { method });
    const answer = { status: response.status, headers: { 'content-type': response.headers.get('content-type') ?? '' } };
    expect(refusalOf({ ...answer, body: await response.text() }).status).toBe(status);
  });
});
