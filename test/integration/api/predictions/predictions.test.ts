import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { pageOf } from '../../../../contracts/http/page.js';
import {
  feedbackViewSchema,
  predictionDetailViewSchema,
  productionAccuracyViewSchema,
  storedPredictionViewSchema,
} from '../../../../contracts/predictions/http-predictions.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { poll } from '../../../support/api-client.js';
import { formWith, problemOf, redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';
import { sha256Of } from '../../../support/training-fixtures.js';

describe('predictions and feedback', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  let version: ModelVersion;
  let image: Uint8Array;

  beforeAll(async () => {
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    version = await served.registerTiny();
    await served.promote(version);
    await serves(served, version);
    image = await redImage();
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  const get = (path: string): Promise<Response> => fetch(served.url + path);
  const predict = async (): Promise<z.infer<typeof predictionSchema>> => {
    const response = await fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', image) });
    return predictionSchema.parse(await response.json());
  };
  const give = (body: unknown, actor = 'a botanist'): Promise<Response> =>
    fetch(`${served.url}/feedback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-actor': actor },
      body: JSON.stringify(body),
    });
  const listed = async (query: string): Promise<z.infer<typeof storedPredictionViewSchema>[]> =>
    pageOf(storedPredictionViewSchema).parse(await (await get(`/api/v1/predictions?${query}`)).json()).items;

  it('finds a prediction under the id in its response, with the digest of its image and no captured image', async () => {
    const answer = await predict();
    const response = await get(`/api/v1/predictions/${answer.prediction_id}`);
    const detail = predictionDetailViewSchema.parse(await response.json());
    expect(detail).toMatchObject({
      prediction_id: answer.prediction_id,
      prediction: 'dandelion',
      confidence: answer.confidence,
      probabilities: answer.probabilities,
      model_version: String(version.version),
      generation: 1,
      bundle_sha256: version.bundleSha256,
      image_sha256: sha256Of(image),
      route: 'predict',
      label: null,
      feedback: [],
    });
    const columns = await served.api.database.query('SELECT * FROM predictions WHERE id = $1', [answer.prediction_id]);
    expect(JSON.stringify(columns).length).toBeLessThan(1_000);
  });

  it('names the predictions of /invocations in a header, and leaves the body in the format of MLflow', async () => {
    const red = Array.from({ length: 224 }, () => Array.from({ length: 224 }, () => [255, 0, 0]));
    const response = await fetch(`${served.url}/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: [red, red] }),
    });
    expect(Object.keys(z.record(z.string(), z.unknown()).parse(await response.json()))).toEqual(['predictions']);
    const ids = (response.headers.get('x-prediction-ids') ?? '').split(',');
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) {
      const detail = predictionDetailViewSchema.parse(await (await get(`/api/v1/predictions/${id}`)).json());
      expect(detail).toMatchObject({ route: 'invocations', image_sha256: null, prediction: 'dandelion' });
    }
  });

  it('lists predictions newest first, page by page, filtered', async () => {
    const from = new Date(Date.now() - 1).toISOString();
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) ids.push((await predict()).prediction_id);
    await give({ prediction_id: ids[2], label: 'grass' });
    await poll(
      () => listed(`from=${from}`),
      (items) => items.length === 5,
    );
    const seen: string[] = [];
    for (let token: string | null = ''; token !== null;) {
      const path = `/api/v1/predictions?limit=2&from=${from}${token === '' ? '' : `&page_token=${token}`}`;
      const page = pageOf(storedPredictionViewSchema).parse(await (await get(path)).json());
      seen.push(...page.items.map(({ prediction_id }) => prediction_id));
      token = page.next_page_token;
    }
    expect(seen).toEqual([...ids].reverse());
    const found = async (query: string): Promise<number> => (await listed(`from=${from}&${query}`)).length;
    expect(await found('has_feedback=true')).toBe(1);
    expect(await found('has_feedback=false')).toBe(4);
    expect(await found('label=dandelion')).toBe(5);
    expect(await found('label=grass')).toBe(0);
    expect(await found(`model=${version.modelName}&version=${version.version}`)).toBe(5);
    expect(await found(`version=${version.version + 1}`)).toBe(0);
    expect(await found(`to=${from}`)).toBe(0);
  });

  it.each([
    '/api/v1/predictions/..%2F..%2Fetc%2Fpasswd',
    '/api/v1/predictions/%00',
    "/api/v1/predictions/1'%20OR%20'1'='1",
    '/api/v1/predictions?page_token=../..',
    '/api/v1/predictions?from=yesterday',
    '/api/v1/predictions?version=0',
    '/api/v1/predictions?model=..%2F..',
    '/api/v1/mlops/models/..%2F..%2Fetc/production-accuracy',
  ])('refuses %s', async (path) => {
    expect(await problemOf(await get(path))).toEqual({ status: 400, code: 'bad_request' });
  });

  it('answers 404 for an unknown prediction', async () => {
    expect(await problemOf(await get(`/api/v1/predictions/${randomUUID()}`))).toMatchObject({ status: 404 });
    const unmade = { prediction_id: '01a1fdc8-0c1d-7000-913c-6582be31a915', label: 'grass' };
    expect(await problemOf(await give(unmade))).toEqual({ status: 404, code: 'not_found' });
    expect(await problemOf(await get('/api/v1/mlops/models/nobody/production-accuracy'))).toMatchObject({
      status: 404,
    });
  });

  it('takes a label immediately, the same one only once, and stores contradicting ones', async () => {
    const { prediction_id } = await predict();
    const first = await give({ prediction_id, label: 'grass', comment: 'a lawn' });
    expect(first.status).toBe(201);
    const added = feedbackViewSchema.parse(await first.json());
    expect(added).toMatchObject({ label: 'grass', correct: false, contradicts: false, actor: 'a botanist' });
    const again = await give({ prediction_id, label: 'grass' });
    expect(again.status).toBe(200);
    expect(feedbackViewSchema.parse(await again.json())).toEqual(added);
    const other = feedbackViewSchema.parse(await (await give({ prediction_id, label: 'dandelion' }, 'another')).json());
    expect(other).toMatchObject({ label: 'dandelion', correct: true, contradicts: true });

    const detail = predictionDetailViewSchema.parse(await (await get(`/api/v1/predictions/${prediction_id}`)).json());
    expect(detail.label).toBe('dandelion');
    expect(detail.feedback.map(({ label }) => label)).toEqual(['dandelion', 'grass']);
    const audit = await createAuditStore(served.api.database).list({
      limit: 10,
      subject: `predictions/${prediction_id}`,
    });
    expect(audit.items).toMatchObject([
      { action: 'feedback.add', actor: 'another', after: { label: 'dandelion', contradicts: true } },
      { action: 'feedback.add', actor: 'a botanist', after: { label: 'grass', contradicts: false } },
    ]);
    expect(JSON.stringify(audit.items)).not.toContain('a lawn');
  });

  it('adds one label when the same is sent many times concurrently', async () => {
    const { prediction_id } = await predict();
    const answers = await Promise.all(Array.from({ length: 8 }, () => give({ prediction_id, label: 'grass' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 201]);
  });

  it('refuses a label that is not one of the classes, and lists them', async () => {
    const { prediction_id } = await predict();
    const response = await give({ prediction_id, label: 'rose' });
    expect(response.status).toBe(400);
    const { detail } = z.object({ detail: z.string() }).parse(await response.json());
    expect(detail).toMatch(/#\/label: .*“dandelion”, “grass”/);
    expect((await give({ prediction_id, label: 'constructor' })).status).toBe(400);
    expect((await give({ prediction_id, label: 'grass', more: 1 })).status).toBe(400);
  });

  it('reports the accuracy in production with its interval, also as a metric', async () => {
    const next = await served.registerTiny({ bias: 1 });
    await served.promote(next);
    await serves(served, next);
    for (const label of ['dandelion', 'dandelion', 'dandelion', 'grass']) {
      const { prediction_id } = await predict();
      await give({ prediction_id, label });
    }
    const path = `/api/v1/mlops/models/${version.modelName}/production-accuracy`;
    const of = productionAccuracyViewSchema.parse(await (await get(`${path}?version=${next.version}`)).json());
    expect(of).toMatchObject({
      labelled: 4,
      correct: 3,
      accuracy: 0.75,
      versions: [
        { version: String(next.version), confusion: { dandelion: { dandelion: 3 }, grass: { dandelion: 1 } } },
      ],
    });
    expect(of.interval?.[0]).toBeCloseTo(0.3006, 3);
    expect(of.interval?.[1]).toBeCloseTo(0.9544, 3);
    const all = productionAccuracyViewSchema.parse(await (await get(path)).json());
    expect(all.versions.map((each) => each.version)).toEqual([String(next.version), String(version.version)]);
    expect(all.labelled).toBe(all.versions.reduce((sum, { labelled }) => sum + labelled, 0));
    const early = productionAccuracyViewSchema.parse(await (await get(`${path}?to=2020-01-01T00:00:00Z`)).json());
    expect(early).toMatchObject({ labelled: 0, accuracy: null, interval: null, versions: [] });

    const metrics = await (await get('/metrics')).text();
    expect(metrics).toContain(`mlops_feedback_labels_total{model_version="${next.version}",correct="true"} 3\n`);
    const model = `model_name="${version.modelName}",model_version="${next.version}"`;
    expect(metrics).toContain(`mlops_production_accuracy_ratio{${model}} 0.75\n`);
    expect(metrics).toContain('mlops_predictions_log_dropped_total 0\n');
  });
});

describe('predictions while Postgres is unavailable', () => {
  it('are answered, and found once it is available again', async () => {
    const [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    const served = await startApi({ ...postgres.environment, ...objectStore.environment });
    try {
      const version = await served.registerTiny();
      await served.promote(version);
      await serves(served, version);
      const image = await redImage();
      const ids: string[] = [];
      let isLoaded = true;
      const load = async (): Promise<void> => {
        while (isLoaded) {
          const response = await fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', image) });
          expect(response.status).toBe(200);
          ids.push(predictionSchema.parse(await response.json()).prediction_id);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      };
      const loads = [load(), load()];
      await new Promise((resolve) => setTimeout(resolve, 300));
      await postgres.pause();
      const before = ids.length;
      await poll(
        () => Promise.resolve(ids.length),
        (answered) => answered > before + 20,
      );
      await postgres.resume();
      isLoaded = false;
      await Promise.all(loads);
      const kept = await poll(
        () => served.api.database.rows(z.object({ id: z.string() }), 'SELECT id FROM predictions'),
        (rows) => rows.length >= ids.length,
      );
      expect(kept.map(({ id }) => id).sort()).toEqual(ids.sort());
      expect(await (await fetch(`${served.url}/metrics`)).text()).toContain('mlops_predictions_log_dropped_total 0\n');
    } finally {
      await served.stop();
      await Promise.all([postgres.stop(), objectStore.stop()]);
    }
  });
});
