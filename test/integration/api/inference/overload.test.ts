import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { createApiMetrics } from '../../../../api/metrics.js';
import { PerennialError } from '../../../../contracts/errors.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import type { JobOptions } from '../../../../model/serving/engine.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { fakeEngine, predictionOf, servedOf } from '../../../support/fake-model.js';
import { postRaw, type RawAnswer } from '../../../support/raw-request.js';

const overloaded = new PerennialError('overloaded', 'Others wait.', {
  details: { reason: 'latency_target', retryAfterSeconds: 2.5 },
});

/** A fake engine that can be made full, and records its inputs. */
describe('an overloaded engine', () => {
  let listening: Listening;
  let isFull: boolean;
  let asked: (JobOptions | undefined)[];
  let answeredAt: number[];
  const metrics = createApiMetrics(() => 0);

  beforeAll(async () => {
    const engine = fakeEngine({
      admit: () => {
        if (isFull) throw overloaded;
      },
      predictImage: (_bytes, options) => {
        asked.push(options);
        answeredAt.push(performance.now());
        return Promise.resolve(predictionOf([0.9, 0.1]));
      },
    });
    const host = { current: () => servedOf(engine), retirement: () => null };
    listening = await listen(createApp(emptyDependencies({ host, metrics })), '127.0.0.1', 0);
  });
  afterAll(() => listening.stop(1_000));
  beforeEach(() => {
    isFull = false;
    asked = [];
    answeredAt = [];
  });

  const post = (path: string, headers: Record<string, string>, body: string): Promise<RawAnswer> =>
    postRaw(`http://127.0.0.1:${listening.port}${path}`, headers, [body]);

  it.each([
    ['/predict', 'image/jpeg'],
    ['/invocations', 'application/json'],
  ])('gets no body of POST %s: it is refused unread, even if it is invalid', async (path, type) => {
    isFull = true;
    const answer = await post(path, { 'content-type': type }, '{');
    expect(problemSchema.parse(JSON.parse(answer.body))).toMatchObject({ code: 'overloaded', retry_after_seconds: 3 });
    expect([answer.status, answer.headers['retry-after']]).toEqual([429, '3']);
    expect((await metrics.expose()).text).toMatch(/mlops_requests_shed_total\{reason="latency_target"\} [1-9]/);
    expect(asked).toEqual([]);
  });

  it('gets the deadline of the client, counted from the arrival of the request', async () => {
    const before = performance.now();
    const answer = await post('/predict', { 'content-type': 'image/jpeg', 'x-request-timeout-ms': '2000' }, 'bytes');
    const after = performance.now();
    expect(answer.status).toBe(200);
    expect(asked).toHaveLength(1);
    expect(asked[0]?.deadlineAt).toBeGreaterThanOrEqual(before + 2_000);
    expect(asked[0]?.deadlineAt).toBeLessThanOrEqual(after + 2_000);
    await post('/predict', { 'content-type': 'image/jpeg' }, 'bytes');
    expect(asked[1]?.deadlineAt).toBeUndefined();
  });

  const file = Buffer.from('bytes').toString('base64');
  it.each([
    ['/invocations', (files: string[]) => ({ inputs: files })],
    [
      '/v2/models/a_model/infer',
      (files: string[]) => ({
        inputs: [{ name: 'image', datatype: 'BYTES', shape: [files.length], data: files }],
      }),
    ],
  ])('does not refuse a file of POST %s as late because other files of the request ran first', async (path, bodyOf) => {
    const send = (files: number): Promise<RawAnswer> =>
      post(path, { 'content-type': 'application/json' }, JSON.stringify(bodyOf(Array<string>(files).fill(file))));
    expect((await send(6)).status).toBe(200);
    expect(asked).toHaveLength(6);
    // The fifth is sent when the first is answered.
    expect(asked[4]?.receivedAt).toBeGreaterThanOrEqual(answeredAt[0] ?? Infinity);
    const before = performance.now();
    await send(1);
    expect(asked[6]?.receivedAt).toBeGreaterThanOrEqual(before);
  });
});
