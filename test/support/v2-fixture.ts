import type { z } from 'zod';
import { createApp } from '../../api/app.js';
import { listen } from '../../api/http/server/listen.js';
import { v2HeaderLength, v2InferResponseSchema, v2ProblemSchema } from '../../contracts/inference/http-v2.js';
import { PerennialError } from '../../contracts/errors.js';
import { emptyDependencies } from './api-dependencies.js';
import { fakeEngine, predictionOf, servedOf } from './fake-model.js';
import { postRaw, type RawAnswer } from './raw-request.js';

export const imageBytes = 224 * 224 * 3;
export const imageShape = [1, 224, 224, 3];

export interface InferPost {
  headers: Record<string, string>;
  body: Uint8Array | string;
}

/** A body of JSON and binary tensors, and the header with the length of the JSON part. */
export function mixed(request: object, ...tensors: Uint8Array[]): InferPost & { body: Buffer } {
  const json = Buffer.from(JSON.stringify(request));
  return { headers: { [v2HeaderLength]: String(json.length) }, body: Buffer.concat([json, ...tensors]) };
}

/** A request with the pixels of one image as a binary tensor. */
export function pixels(datatype: string, bytes: Uint8Array, more: object = {}): ReturnType<typeof mixed> {
  const parameters = { binary_data_size: bytes.length };
  return mixed({ inputs: [{ name: 'image', shape: imageShape, datatype, parameters }], ...more }, bytes);
}

/** An element of a binary BYTES tensor; `length` may be wrong on purpose. */
export function element(bytes: Uint8Array, length = bytes.length): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(length);
  return Buffer.concat([head, bytes]);
}

/** An API that serves version 7 of `a_model` with classes a and b, and records the inputs of its engine. */
export interface V2Fixture {
  url: string;
  /** The inputs that the engine received. */
  seen: Uint8Array[];
  /** Whether a model is loaded. */
  isLoaded: boolean;
  post(request: InferPost): Promise<RawAnswer>;
  ask(request: unknown): Promise<RawAnswer>;
  stop(): Promise<void>;
}

export async function startV2Fixture(): Promise<V2Fixture> {
  const served = servedOf(
    fakeEngine({
      predictPixels: (bytes, count) => {
        fixture.seen.push(bytes);
        return Promise.resolve(Array.from({ length: count }, () => predictionOf([0.75, 0.25])));
      },
      predictImage: (bytes) => {
        fixture.seen.push(bytes);
        if (bytes.length > 0) return Promise.resolve(predictionOf([0.25, 0.75]));
        return Promise.reject(new PerennialError('undecodable_image', 'There are no bytes.'));
      },
    }),
    7,
  );
  const current = (): typeof served | null => (fixture.isLoaded ? served : null);
  const listening = await listen(
    createApp(emptyDependencies({ host: { current, retirement: () => null } })),
    '127.0.0.1',
    0,
  );
  const url = `http://127.0.0.1:${listening.port}/v2`;
  const post = ({ headers, body }: InferPost): Promise<RawAnswer> =>
    postRaw(`${url}/models/a_model/infer`, { 'content-length': String(Buffer.byteLength(body)), ...headers }, [body]);
  const fixture: V2Fixture = {
    url,
    seen: [],
    isLoaded: true,
    post,
    ask: (request) => post({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(request) }),
    stop: () => listening.stop(1_000),
  };
  return fixture;
}

/** The parsed response; throws with the body unless the status is 200. */
export function answerOf({ status, body }: RawAnswer): z.infer<typeof v2InferResponseSchema> {
  if (status !== 200) throw new Error(body);
  return v2InferResponseSchema.parse(JSON.parse(body));
}

/** Asserts that a response is a problem in the format of the v2 protocol and returns its kind. */
export function refusalOf({ headers, body }: Pick<RawAnswer, 'headers' | 'body'>): {
  status: number;
  code: string;
  error: string;
  /** Pointer to the first wrong place. */
  at: string | undefined;
} {
  expect(headers['content-type']).toBe('application/json');
  const { status, code, error, detail, errors } = v2ProblemSchema.parse(JSON.parse(body));
  expect(error).toBe(detail);
  return { status, code, error, at: errors?.[0]?.pointer };
}
