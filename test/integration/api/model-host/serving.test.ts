import { once } from 'node:events';
import { get, IncomingMessage } from 'node:http';
import { z } from 'zod';
import {
  invocationsResponseSchema,
  modelInfoSchema,
  predictionSchema,
} from '../../../../contracts/inference/http-predict.js';
import { healthSchema } from '../../../../contracts/http/health.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { drawSyntheticImage } from '../../../../model/images/synthetic.js';
import { poll } from '../../../support/api-client.js';
import { formWith, problemOf, redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

describe('serving', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  let dandelion: Uint8Array;
  let half: Uint8Array;
  let large: Uint8Array;
  let small: Uint8Array;
  let first: ModelVersion;

  beforeAll(async () => {
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment, MAX_IMAGE_PIXELS: '1000000' });
    dandelion = await redImage();
    half = (await drawSyntheticImage('dandelion', 1)).subarray(0, 4_000);
    large = await redImage(1_001, 1_000);
    small = await redImage(1, 1);
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  const predict = (bytes: Uint8Array, field = 'file'): Promise<Response> =>
    fetch(`${served.url}/predict`, { method: 'POST', body: formWith(field, bytes) });
  const metric = async (series: string): Promise<number> => {
    const lines = (await (await fetch(`${served.url}/metrics`)).text()).split('\n');
    return Number(lines.find((line) => line.startsWith(`${series} `))?.split(' ')[1] ?? Number.NaN);
  };

  it('answers 503 before a model is served, but is ready', async () => {
    const response = await predict(dandelion);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await problemOf(response)).toEqual({ status: 503, code: 'no_model' });
    expect(await problemOf(await fetch(`${served.url}/model/info`))).toEqual({ status: 503, code: 'no_model' });
    expect((await fetch(`${served.url}/ping`)).status).toBe(503);
    expect((await fetch(`${served.url}/health/ready`)).status).toBe(200);
    const health = healthSchema.parse(await (await fetch(`${served.url}/health`)).json());
    expect(health).toMatchObject({ model_loaded: false, model_version: null, status: 'degraded' });
    expect(health.dependencies).toMatchObject({ postgres: { status: 'up' }, temporal: { status: 'down' } });
  });

  it('serves a version as soon as it is in Production', async () => {
    first = await served.registerTiny();
    await served.promote(first);
    await serves(served, first);
    const prediction = predictionSchema.parse(await (await predict(dandelion)).json());
    expect(prediction.prediction).toBe('dandelion');
    expect(prediction.model_version).toBe(String(first.version));
    expect(prediction.probabilities['dandelion']).toBe(prediction.confidence);
    expect(Object.values(prediction.probabilities).reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 5);
  });

  it.each([
    ['a wrong field', 400, 'bad_request', (): Promise<Response> => predict(dandelion, 'image')],
    ['an empty file', 400, 'no_file', (): Promise<Response> => predict(new Uint8Array())],
    [
      'text called .jpg',
      415,
      'unsupported_type',
      (): Promise<Response> => predict(Buffer.from('I am no picture. '.repeat(40))),
    ],
    ['half a JPEG', 422, 'undecodable_image', (): Promise<Response> => predict(half)],
    ['too many pixels', 422, 'image_too_large', (): Promise<Response> => predict(large)],
    ['a single pixel', 422, 'image_too_small', (): Promise<Response> => predict(small)],
  ])('refuses %s with %i and counts it', async (_name, status, code, send) => {
    const before = await metric(`prediction_errors_total{reason="${code}"}`);
    expect(await problemOf(await send())).toEqual({ status, code });
    expect(
      await poll(
        () => metric(`prediction_errors_total{reason="${code}"}`),
        (now) => now > before,
      ),
    ).toBe(before + 1);
  });

  it('refuses a form without a file, and several files', async () => {
    const empty = new FormData();
    empty.append('note', 'nothing else');
    const two = formWith('file', dandelion);
    two.append('file', new Blob([new Uint8Array(dandelion)]), 'second.jpg');
    const post = (body: FormData): Promise<Response> => fetch(`${served.url}/predict`, { method: 'POST', body });
    expect(await problemOf(await post(empty))).toEqual({ status: 400, code: 'no_file' });
    expect(await problemOf(await post(two))).toEqual({ status: 400, code: 'bad_request' });
  });

  it('refuses a file one byte above the limit with 413', async () => {
    const response = await predict(new Uint8Array(served.config.MAX_UPLOAD_BYTES + 1));
    expect(await problemOf(response)).toEqual({ status: 413, code: 'too_large' });
  });

  it('refuses a form of unknown length above the limit with 413', async () => {
    const block = new Uint8Array(1_000_000);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent === 0)
          controller.enqueue(Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'));
        if (++sent > 25) controller.close();
        else controller.enqueue(block);
      },
    });
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    const response = await fetch(`${served.url}/predict`, { method: 'POST', headers, body, duplex: 'half' });
    expect(await problemOf(response)).toEqual({ status: 413, code: 'too_large' });
  });

  it('gives the same probabilities for an image and for its pixels', async () => {
    const red = Array.from({ length: 224 }, () => Array.from({ length: 224 }, () => [255, 0, 0]));
    const invoke = (inputs: unknown): Promise<Response> =>
      fetch(`${served.url}/invocations`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ inputs }),
      });
    const response = await invoke([red, red]);
    expect(response.status).toBe(200);
    const { predictions } = invocationsResponseSchema.parse(await response.json());
    expect(predictions).toHaveLength(2);
    expect(predictions[0]).toEqual(predictions[1]);
    const byPixels = await served.host.current()?.engine.predictPixels(Uint8Array.from(red.flat(2)), 1);
    expect(predictions[0]).toEqual(byPixels?.[0]?.probabilities);
    expect(await problemOf(await invoke([red.slice(1)]))).toEqual({ status: 422, code: 'invalid_tensor' });
    expect(await problemOf(await invoke([]))).toEqual({ status: 400, code: 'bad_request' });
  });

  it('describes the model, and answers 304 to a matching ETag', async () => {
    const response = await fetch(`${served.url}/model/info`);
    const info = modelInfoSchema.parse(await response.json());
    expect(info).toMatchObject({
      model_version: String(first.version),
      stage: 'Production',
      labels: ['dandelion', 'grass'],
    });
    const etag = response.headers.get('etag') ?? '';
    expect(await statusWith(`${served.url}/model/info`, { 'if-none-match': etag })).toBe(304);
    expect(await statusWith(`${served.url}/model/info`, { 'if-none-match': 'W/"another"' })).toBe(200);
  });

  it('counts predictions by version and class', async () => {
    const series = `predictions_total{model_version="${first.version}",predicted_class="dandelion"}`;
    const before = await metric(series);
    await predict(dandelion);
    expect(await metric(series)).toBe(before + 1);
    expect(await metric(`predictions_total{model_version="${first.version}",predicted_class="grass"}`)).toBe(0);
    expect(await metric('mlops_prediction_phase_seconds_count{phase="decode"}')).toBeGreaterThan(0);
  });

  it('refuses with 429 what exceeds its capacity, and answers the rest', async () => {
    const narrow = await startApi({ ...postgres.environment, ...objectStore.environment, SERVING_QUEUE_LIMIT: '1' });
    try {
      await serves(narrow, first);
      const form = (): FormData => formWith('file', dandelion);
      const answers = await Promise.all(
        Array.from({ length: 24 }, () => fetch(`${narrow.url}/predict`, { method: 'POST', body: form() })),
      );
      const refused = answers.filter(({ status }) => status === 429);
      expect(refused.length).toBeGreaterThan(0);
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(answers.length - refused.length);
      expect(refused[0]?.headers.get('retry-after')).toBe('1');
      const exposed = await (await fetch(`${narrow.url}/metrics`)).text();
      expect(exposed).toContain(`mlops_requests_shed_total{reason="queue_full"} ${refused.length}\n`);
    } finally {
      await narrow.stop();
    }
  });
});

/** Status of a GET with a header that `fetch` would not send alone. */
async function statusWith(url: string, headers: Record<string, string>): Promise<number | undefined> {
  const request = get(url, { headers });
  const [response] = z.tuple([z.instanceof(IncomingMessage)]).parse(await once(request, 'response'));
  response.resume();
  return response.statusCode;
}
