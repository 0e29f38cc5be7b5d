import { once } from 'node:events';
import { Agent, IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from '../../../../api/app.js';
import { HeldRefusals } from '../../../../api/http/middleware/held-refusals.js';
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

describe('refusals beyond their pace', () => {
  let listening: Listening;
  let isFull = true;
  /** At this pace no turn comes. */
  const refusals = new HeldRefusals({ perSecond: 1e-3, longestMs: Infinity, mostHeld: 3 });

  beforeAll(async () => {
    const engine = fakeEngine({
      admit: () => {
        if (isFull) throw overloaded;
      },
      predictImage: () => Promise.resolve(predictionOf([0.9, 0.1])),
    });
    const host = { current: () => servedOf(engine), retirement: () => null };
    listening = await listen(createApp(emptyDependencies({ host }), refusals), '127.0.0.1', 0, null, refusals);
  });
  afterAll(() => listening.stop(1_000));

  const post = (headers: Record<string, string> = {}): Promise<RawAnswer> =>
    postRaw(`http://127.0.0.1:${listening.port}/predict`, { 'content-type': 'image/jpeg', ...headers }, ['bytes']);

  it('are answered by the deadline of their client', async () => {
    const answer = await post({ 'x-request-timeout-ms': '200' });
    expect([answer.status, answer.headers['retry-after']]).toEqual([429, '3']);
  });

  it('keep their connection for the next request', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const send = async (): Promise<[number | undefined, boolean]> => {
      const headers = { 'content-type': 'image/jpeg', 'x-request-timeout-ms': '200' };
      const sent = request(`http://127.0.0.1:${listening.port}/predict`, { method: 'POST', agent, headers });
      sent.end('bytes');
      const answer = await once(sent, 'response').then(([first]: unknown[]) => first);
      if (!(answer instanceof IncomingMessage)) throw new Error('there is no answer');
      await once(answer.resume(), 'end');
      return [answer.statusCode, sent.reusedSocket];
    };
    expect(await send()).toEqual([429, false]);
    isFull = false;
    expect(await send()).toEqual([200, true]);
    isFull = true;
    agent.destroy();
  });

  it('wait in bounded number, with new connections behind them, and are all answered before the API stops', async () => {
    const held = [post(), post(), post()];
    while (refusals.held < 3) await sleep(5);
    const behind = [post(), post()];
    let early = 0;
    for (const end of [...held, ...behind]) void end.then(() => (early += 1));
    await sleep(200);
    expect([refusals.held, early]).toEqual([3, 0]);
    refusals.release();
    const answered = await Promise.all([...held, ...behind]);
    expect(answered.map(({ status, headers }) => [status, headers['retry-after']])).toEqual(Array(5).fill([429, '3']));
    for (const { body } of answered) {
      expect(problemSchema.parse(JSON.parse(body))).toMatchObject({ code: 'overloaded', retry_after_seconds: 3 });
    }
    expect((await post()).status).toBe(429);
  });
});
