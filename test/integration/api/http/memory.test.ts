import { gzipSync } from 'node:zlib';
import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { inputSize } from '../../../../contracts/training/training.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { poll } from '../../../support/api-client.js';
import { memoryHeld } from '../../../support/collect-garbage.js';
import { fakeEngine, predictionOf, servedOf } from '../../../support/fake-model.js';
import { multipartHeaders, postRaw } from '../../../support/raw-request.js';

const json = { 'content-type': 'application/json' };

describe('the memory that requests take', () => {
  let listening: Listening;
  let url: string;
  let waiting: (() => void)[];
  beforeAll(async () => {
    waiting = [];
    const engine = fakeEngine({
      predictPixels: (_pixels, count) =>
        new Promise((resolve) => {
          waiting.push(() => resolve(Array.from({ length: count }, () => predictionOf([0.5, 0.5]))));
        }),
    });
    const served = servedOf(engine);
    listening = await listen(
      createApp(emptyDependencies({ host: { current: () => served, retirement: () => null } })),
      '127.0.0.1',
      0,
    );
    url = `http://127.0.0.1:${listening.port}`;
  });
  afterAll(() => listening.stop(1_000));

  it('holds pixels instead of parsed JSON once a tensor was read', async () => {
    const row = `[${Array.from({ length: inputSize }, (_, x) => `[${x},0,255]`).join()}]`;
    const image = `[${Array.from({ length: inputSize }, () => row).join()}]`;
    const body = `{"inputs":[${Array.from({ length: 12 }, () => image).join()}]}`;
    const before = memoryHeld().heapUsed;
    const answers = Array.from({ length: 3 }, () => postRaw(`${url}/invocations`, json, [body]));
    await poll(
      () => Promise.resolve(waiting.length),
      (count) => count === answers.length,
    );
    const held = memoryHeld().heapUsed - before;
    for (const finish of waiting) finish();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(body.length).toBeGreaterThan(5_000_000);
    expect(held).toBeLessThan(10_000_000);
  });

  it.each([
    ['/predict', multipartHeaders],
    ['/api/v1/pipelines/retraining', json],
    ['/api/v1/datasets/flowers/images', multipartHeaders],
  ])('is not taken by compressed bodies, whose size is unknown: %s refuses them', async (path, headers) => {
    const answer = await postRaw(url + path, { ...headers, 'content-encoding': 'gzip' }, [gzipSync('{}')]);
    expect(answer.status).toBe(415);
    expect(answer.body).toContain('Content-Encoding');
  });

  it('is not reserved for a body of lists that are no images', async () => {
    const answer = await postRaw(`${url}/invocations`, json, [`{"inputs":[${'[0,0,0],'.repeat(400_000)}0]}`]);
    expect(problemSchema.parse(JSON.parse(answer.body))).toMatchObject({ status: 422, code: 'invalid_tensor' });
  });

  it('is not limited for a Content-Encoding of identity', async () => {
    const answer = await postRaw(`${url}/invocations`, { ...json, 'content-encoding': 'identity' }, ['{}']);
    expect(answer.status).toBe(400);
  });
});
