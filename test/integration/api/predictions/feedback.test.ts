import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import {
  feedbackBatchViewSchema,
  feedbackViewSchema,
  predictionDetailViewSchema,
} from '../../../../contracts/predictions/http-predictions.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { predictionRecordSchema } from '../../../../contracts/predictions/predictions.js';
import { uuid7 } from '../../../../platform/uuid7.js';
import { lockForLabels } from '../../../../stores/predictions/feedback.js';
import { createPredictionStore } from '../../../../stores/predictions/predictions.js';
import { formWith, problemOf, redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

const dayMs = 86_400_000;

const problems = async (response: Response): Promise<z.infer<typeof problemSchema>['errors']> =>
  problemSchema.parse(await response.json()).errors;

describe('feedback', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  let image: Uint8Array;

  beforeAll(async () => {
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    const version = await served.registerTiny();
    await served.promote(version);
    await serves(served, version);
    image = await redImage();
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  const send = (path: string, body: unknown, actor = 'ada'): Promise<Response> =>
    fetch(served.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-actor': actor },
      body: JSON.stringify(body),
    });
  const predict = async (): Promise<string> => {
    const response = await fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', image) });
    if (!response.ok) throw new Error(await response.text());
    return predictionSchema.parse(await response.json()).prediction_id;
  };
  const detail = async (id: string): Promise<z.infer<typeof predictionDetailViewSchema>> =>
    predictionDetailViewSchema.parse(await (await fetch(`${served.url}/api/v1/predictions/${id}`)).json());
  /** A prediction as another replica would insert it: in Postgres only. */
  const madeElsewhere = (
    id: string,
    probabilities: Record<string, number> = { dandelion: 0.9, grass: 0.1 },
  ): Promise<void> =>
    createPredictionStore(served.api.database).add([
      predictionRecordSchema.parse({
        id,
        modelName: 'dandelion_grass_classifier',
        version: 1,
        generation: 1,
        replica: 'another',
        bundleSha256: 'b',
        predicted: 'dandelion',
        confidence: 0.9,
        probabilities,
        imageSha256: null,
        latencyMs: 1,
        route: 'predict',
      }),
    ]);

  it('is accepted late, while the prediction is stored', async () => {
    const id = uuid7(Date.now() - 80 * dayMs);
    await madeElsewhere(id);
    expect((await send('/feedback', { prediction_id: id, label: 'grass' })).status).toBe(201);
    expect(await detail(id)).toMatchObject({ label: 'grass', conflicted: false });
  });

  it('names a class by the rules of labels, also one of a model that was trained before there were any', async () => {
    const id = uuid7();
    await madeElsewhere(id, { dandelion: 0.9, 'grass ': 0.1, 'gr\u200bey': 0, ['__proto__']: 0 });
    for (const [label, named] of [
      ['grass', 'grass '],
      [' grass\u00a0', 'grass '],
      ['grey', 'gr\u200bey'],
      ['__proto__', '__proto__'],
    ]) {
      const given = await send('/feedback', { prediction_id: id, label });
      expect({ status: given.status, ...feedbackViewSchema.parse(await given.json()) }).toMatchObject({ label: named });
    }
    const [problem] = (await problems(await send('/feedback', { prediction_id: id, label: 'Gras' }))) ?? [];
    expect(problem?.detail).toContain('“Gras” is not a class of the model. The nearest is “grass ”; it knows');
    expect(problem?.detail).toContain('“__proto__”');
  });

  it('is refused when it is too late', async () => {
    const late = await send('/feedback', {
      // Not by `uuid7`, whose ids never go back in time.
      prediction_id: `${(Date.now() - 200 * dayMs)
        .toString(16)
        .padStart(12, '0')
        .replace(/^(.{8})/, '$1-')}-7000-8000-000000000000`,
      label: 'grass',
    });
    expect(late.status).toBe(404);
    expect(await late.text()).toContain('predictions are stored for 90 days');
    const never = await send('/feedback', { prediction_id: randomUUID(), label: 'grass' });
    expect(await never.text()).toContain('Use the prediction_id of the answer to /predict');
  });

  it('waits for a prediction that another replica is writing', async () => {
    const id = uuid7();
    const asked = send('/feedback', { prediction_id: id, label: 'grass' });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await madeElsewhere(id);
    expect((await asked).status).toBe(201);
  });

  it('stops waiting for a prediction that never arrives', async () => {
    const unknown = await send('/feedback', { prediction_id: uuid7(), label: 'grass' });
    expect(await problemOf(unknown)).toEqual({ status: 404, code: 'not_found' });
  });

  it('is in conflict when the newest labels of different people differ, and no longer when they agree', async () => {
    const id = await predict();
    const say = (label: string, actor: string): Promise<Response> =>
      send('/feedback', { prediction_id: id, label }, actor);
    await say('grass', 'ada');
    await say('dandelion', 'ada');
    expect(await detail(id)).toMatchObject({ conflicted: false, label: 'dandelion' });
    await say('grass', 'bob');
    expect(await detail(id)).toMatchObject({ conflicted: true, label: 'grass' });
    await say('grass', 'ada');
    expect(await detail(id)).toMatchObject({ conflicted: false, label: 'grass' });
  });

  it('is accepted or refused for each of a hundred predictions separately', async () => {
    const ids: string[] = [];
    while (ids.length < 198) ids.push(...(await Promise.all(Array.from({ length: 6 }, () => predict()))));
    const feedback = [
      ...ids.map((id, index) => ({ prediction_id: id, label: index % 3 === 0 ? 'grass' : 'dandelion' })),
      { prediction_id: randomUUID(), label: 'grass' },
      { prediction_id: ids[0], label: 'tulip' },
    ];
    const first = feedbackBatchViewSchema.parse(await (await send('/feedback/batch', { feedback })).json());
    expect([first.added, first.repeated, first.failed]).toEqual([198, 0, 2]);
    expect(first.results.slice(-2)).toMatchObject([
      { result: 'failed', code: 'not_found' },
      { result: 'failed', code: 'bad_request' },
    ]);
    const second = feedbackBatchViewSchema.parse(await (await send('/feedback/batch', { feedback })).json());
    expect([second.added, second.repeated, second.failed]).toEqual([0, 198, 2]);
    const audited = await served.api.database.query(
      `SELECT actor, after ->> 'label' AS label, count(*)::int AS entries FROM audit_log
       WHERE action = 'feedback.add' AND subject = ANY($1) GROUP BY 1, 2 ORDER BY 2`,
      [ids.map((id) => `predictions/${id}`)],
    );
    expect(audited).toEqual([
      { actor: 'ada', label: 'dandelion', entries: 132 },
      { actor: 'ada', label: 'grass', entries: 66 },
    ]);
    expect(await problemOf(await send('/feedback/batch', { feedback: [] }))).toMatchObject({ status: 400 });
  });

  it('is counted correctly in any order of concurrent labels and decisions', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, () => predict()));
    await served.api.predictions.predictionLog.flush();
    const { database } = served.api;
    const random = (below: number): number => Math.floor(Math.random() * below);
    const label = (): string => ['dandelion', 'grass'][random(2)] ?? '';
    await Promise.all(
      Array.from({ length: 400 }, () => {
        const prediction_id = ids[random(ids.length)];
        if (random(3) > 0) return send('/feedback', { prediction_id, label: label() }, `person ${random(4)}`);
        const decision = ['label', 'skip'][random(2)] ?? '';
        // As the store does: one at a time for each prediction.
        return database.transaction(async (tx) => {
          await lockForLabels(tx, prediction_id ?? '');
          await tx.query(
            `INSERT INTO label_decisions (prediction_id, prediction_created_at, model_name, version, predicted, decision, label)
             SELECT id, created_at, model_name, version, predicted, $2, $3 FROM predictions WHERE id = $1`,
            [prediction_id, decision, decision === 'label' ? label() : null],
          );
        });
      }),
    );
    const wanted = await database.query(
      `SELECT model_name, version, label, predicted, count(*) AS predictions FROM (
         SELECT DISTINCT ON (f.prediction_id) f.model_name, f.version, f.predicted, coalesce(d.label, f.label) AS label
         FROM (SELECT prediction_id, model_name, version, predicted, label, id FROM feedback
               UNION ALL SELECT prediction_id, model_name, version, predicted, label, 0 FROM label_decisions
               WHERE label IS NOT NULL) f
         LEFT JOIN LATERAL (SELECT label FROM label_decisions d WHERE d.prediction_id = f.prediction_id
           ORDER BY id DESC LIMIT 1) d ON true
         WHERE f.id > 0 OR d.label IS NOT NULL ORDER BY f.prediction_id, f.id DESC) newest
       GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`,
    );
    const counted = await database.query('SELECT * FROM label_counts WHERE predictions <> 0 ORDER BY 1, 2, 3, 4');
    expect(counted).toEqual(wanted);
    expect(counted.length).toBeGreaterThan(1);
  });
});
