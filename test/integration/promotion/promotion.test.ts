import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import {
  approvalViewSchema,
  promotionViewSchema,
  rollbackViewSchema,
} from '../../../contracts/promotion/http-promotions.js';
import { predictionSchema } from '../../../contracts/inference/http-predict.js';
import { modelPolicySchema, type ModelPolicy } from '../../../contracts/promotion/policy.js';
import type { Comparison, ModelVersion } from '../../../contracts/registry/registry.js';
import type { ProductionChange } from '../../../stores/registry/history.js';
import { createApiClient, poll, type ApiClient } from '../../support/api-client.js';
import { tester } from '../../support/measurements.js';
import { startPromotionFixture, type PromotionFixture } from '../../support/promotion-fixture.js';
import { formWith, redImage, serves } from '../../support/served-api.js';

let fixture: PromotionFixture;
let api: ApiClient;
const modelName = 'dandelion_grass_classifier';

beforeAll(async () => {
  fixture = await startPromotionFixture();
  await fixture.startWorker();
  api = createApiClient(fixture.served.url);
});
afterAll(() => fixture.stop());
beforeEach(() => setPolicy({}));

function setPolicy(policy: z.input<typeof modelPolicySchema>): Promise<void> {
  const whole: ModelPolicy = modelPolicySchema.parse({ guard: { minutes: 0 }, ...policy });
  return fixture.stores.policies.set(modelName, whole, tester);
}

type Answer = { status: number; body: unknown; location: string | null };

async function send(path: string, body: unknown, key?: string): Promise<Answer> {
  const response = await fetch(fixture.served.url + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-actor': 'ada',
      ...(key !== undefined && { 'idempotency-key': key }),
    },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json(), location: response.headers.get('location') };
}

const promote = ({ version }: Pick<ModelVersion, 'version'>, more: object = {}, key?: string): Promise<Answer> =>
  send('/api/v1/mlops/models/promote', { version, reason: 'it is better', ...more }, key);

const detailOf = ({ body }: Answer): string => z.object({ detail: z.string() }).parse(body).detail;

const production = async (): Promise<number | undefined> =>
  (await fixture.stores.registry.production(modelName))?.version;

const moves = async (): Promise<ProductionChange[]> =>
  (await fixture.stores.registry.productionMoves(modelName, { limit: 100 })).items;

async function predictedBy(): Promise<string> {
  const response = await fetch(`${fixture.served.url}/predict`, {
    method: 'POST',
    body: formWith('file', await redImage()),
  });
  return predictionSchema.parse(await response.json()).model_version;
}

describe('promoting over HTTP', () => {
  it('answers when every replica serves the version, once for its key', async () => {
    const version = await fixture.candidate();
    const key = randomUUID();
    const answers = await Promise.all([promote(version, {}, key), promote(version, {}, key)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const views = answers.map(({ body }) => promotionViewSchema.parse(body));
    expect(views[0]).toEqual(views[1]);
    expect(views[0]).toMatchObject({
      outcome: 'promoted',
      version: String(version.version),
      replicas: [fixture.served.url],
    });
    expect(await predictedBy()).toBe(String(version.version));
    expect((await promote(version, {}, key)).body).toEqual(answers[0].body);
    const history = await moves();
    expect(history.filter((move) => move.version === version.version)).toHaveLength(1);
    expect(history[0]).toMatchObject({ actor: 'ada', reason: 'it is better' });
  });

  it.each([
    ['an unknown version', () => Promise.resolve({ version: 999 }), 404, 'not_found', /no version 999/],
    ['one that was never validated', () => fixture.candidate({ decision: null }), 409, 'conflict', /validate/],
    [
      'one that validation refused',
      () => fixture.candidate({ decision: { outcome: 'refuse', summary: 'Refused: it is worse.' } }),
      409,
      'conflict',
      /it is worse.*override/,
    ],
  ] as const)('refuses %s and says what to do', async (_what, make, status, code, detail) => {
    const answer = await promote(await make());
    expect(answer).toMatchObject({ status, body: { code } });
    expect(detailOf(answer)).toMatch(detail);
  });

  it('promotes despite a refusal when it is overridden', async () => {
    const version = await fixture.candidate({ decision: { outcome: 'refuse', summary: 'Refused: it is worse.' } });
    expect(await promote(version, { override: true })).toMatchObject({ status: 200, body: { outcome: 'promoted' } });
    expect((await moves())[0]?.reason).toBe('it is better (overrides a refusal: Refused: it is worse.)');
  });

  it('refuses an archived version, and names both ways out', async () => {
    const old = await fixture.candidate();
    await promote(old);
    await promote(await fixture.candidate());
    const answer = await promote(old);
    expect(answer).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(detailOf(answer)).toMatch(/Archived.*\/stage.*roll back/);
    expect((await api.get('/api/v1/pipelines?workflow=promoteModel&status=failed')).body).toMatchObject({ items: [] });
  });

  it('accepts one of two concurrent decisions, and reports to the other what changed', async () => {
    const both = await Promise.all([fixture.candidate(), fixture.candidate()]);
    const { generation } = await fixture.stores.registry.servingState(modelName);
    const answers = await Promise.all(both.map((version) => promote(version, { expected_generation: generation })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(answers.find(({ status }) => status === 409)?.body).toMatchObject({ code: 'stale_promotion' });
  });

  it('rejects a key that is repeated with another version', async () => {
    const [first, second] = [await fixture.candidate(), await fixture.candidate()];
    await promote(first, {}, 'one-key');
    const answer = await promote(second, {}, 'one-key');
    expect(answer).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(detailOf(answer)).toMatch(new RegExp(`was used to promote version ${first.version}`));
    await setPolicy({ approval: { mode: 'always' } });
    const [third, fourth] = [await fixture.candidate(), await fixture.candidate()];
    const waits = await promote(third, {}, 'another-key');
    expect(await promote(fourth, {}, 'another-key')).toMatchObject({ status: 409, body: { code: 'conflict' } });
    await send(`${waits.location ?? ''}/reject`, {});
    expect(await promote(fourth, {}, 'another-key')).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });

  it('rejects an invalid Idempotency-Key', async () => {
    const answer = await promote(await fixture.candidate(), {}, 'a key with spaces');
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } });
  });
});

describe('a rollback over HTTP', () => {
  // The benchmark measures milliseconds; here a loaded machine must not fail it.
  it('serves the previous version at once', async () => {
    const [former, bad] = [await fixture.candidate(), await fixture.candidate({ bias: 1 })];
    await promote(former);
    await promote(bad);
    await serves(fixture.served, bad);
    const startedAt = performance.now();
    const answer = await send(`/api/v1/mlops/models/${modelName}/rollback`, { reason: 'it is bad' });
    expect(await predictedBy()).toBe(String(former.version));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(rollbackViewSchema.parse(answer.body)).toMatchObject({
      version: String(former.version),
      former_version: String(bad.version),
      replicas: [{ url: fixture.served.url, serves: true }],
      repeated: false,
    });
  });

  it('works while Temporal has no worker, and says when there is nothing to go back to', async () => {
    await fixture.stopWorker();
    const nothing = await send('/api/v1/mlops/models/unknown/rollback', { reason: 'why not' });
    expect(nothing).toMatchObject({ status: 404 });
    const versions = [await fixture.candidate(), await fixture.candidate()];
    for (const version of versions) await fixture.served.promote(version);
    expect(await send(`/api/v1/mlops/models/${modelName}/rollback`, { reason: 'bad' })).toMatchObject({ status: 200 });
    expect(await production()).toBe(versions[0]?.version);
    await fixture.startWorker();
  });
});

describe('a promotion that needs approval', () => {
  /** Starts a promotion that waits; gives the path of its pipeline. */
  async function waiting(version: ModelVersion): Promise<string> {
    const answer = await promote(version);
    expect(answer).toMatchObject({ status: 202, body: { outcome: 'waiting' } });
    return answer.location ?? '';
  }
  const endOf = (path: string): ReturnType<ApiClient['ended']> => api.ended(path.split('/').at(-1) ?? '', 20_000);

  it('waits, shows the comparison, and continues when it is approved', async () => {
    await setPolicy({ approval: { mode: 'always' } });
    const version = await fixture.candidate();
    const before = await production();
    const path = await waiting(version);
    const listed = await api.get('/api/v1/approvals?outcome=waiting&limit=1');
    expect(listed.body).toMatchObject({
      items: [{ version: String(version.version), outcome: 'waiting', requested_by: 'ada' }],
    });
    expect(await production()).toBe(before);
    const answer = await send(`${path}/approve`, { comment: 'looks right' });
    expect(approvalViewSchema.parse(answer.body)).toMatchObject({
      outcome: 'approved',
      decided_by: 'ada',
      comment: 'looks right',
    });
    expect(await endOf(path)).toMatchObject({ status: 'completed', result: { outcome: 'promoted' } });
    expect(await production()).toBe(version.version);
    expect(await send(`${path}/reject`, {})).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });

  it('leaves Production unchanged when it is rejected, also after the worker was stopped', async () => {
    await setPolicy({ approval: { mode: 'always' } });
    const before = await production();
    const path = await waiting(await fixture.candidate());
    await fixture.stopWorker();
    await fixture.startWorker();
    expect(await send(`${path}/reject`, { comment: 'not now' })).toMatchObject({ body: { outcome: 'rejected' } });
    expect(await endOf(path)).toMatchObject({ result: { outcome: 'rejected', detail: 'Rejected by ada: not now.' } });
    expect(await production()).toBe(before);
  });

  it.each(['reject', 'promote'] as const)('ends as the policy says when it expires: %s', async (onExpiry) => {
    await setPolicy({ approval: { mode: 'always', onExpiry, expiresAfterHours: 0.5 / 3600 } });
    const version = await fixture.candidate();
    const answer = await promote(version);
    const path = z.object({ pipeline_url: z.string() }).parse(answer.body).pipeline_url;
    const outcome = onExpiry === 'reject' ? 'expired' : 'promoted';
    expect(await endOf(path)).toMatchObject({ status: 'completed', result: { outcome } });
    expect((await production()) === version.version).toBe(onExpiry === 'promote');
  });

  it('waits when the gain is small, not when it is large enough', async () => {
    await setPolicy({ approval: { mode: 'when_needed', minGain: 0.02 } });
    const comparison: Comparison = {
      productionVersion: 1,
      images: 100,
      candidateAccuracy: 0.91,
      productionAccuracy: 0.9,
      difference: 0.01,
      interval: [-0.01, 0.03],
      onlyCandidateRight: 3,
      onlyProductionRight: 2,
      mcnemarPValue: 1,
    };
    const path = await waiting(await fixture.candidate({ decision: { comparison } }));
    await send(`${path}/reject`, {});
    const better = await fixture.candidate({ decision: { comparison: { ...comparison, difference: 0.05 } } });
    expect(await promote(better)).toMatchObject({ status: 200 });
  });

  it('can be cancelled while it waits', async () => {
    await setPolicy({ approval: { mode: 'always' } });
    const path = await waiting(await fixture.candidate());
    expect((await send(`${path}/cancel`, {})).status).toBe(202);
    expect(await endOf(path)).toMatchObject({ status: 'cancelled' });
    expect((await api.get('/api/v1/approvals?limit=1')).body).toMatchObject({ items: [{ outcome: 'cancelled' }] });
  });

  it('reports that nothing waits in a run without approval', async () => {
    expect(await send('/api/v1/pipelines/no-such-run/approve', {})).toMatchObject({ status: 404 });
  });
});

describe('the first minutes of a version', () => {
  it('end in a rollback with the reason when its confidence collapses', async () => {
    const [former, timid] = [
      await fixture.candidate({ bias: 2 }),
      await fixture.candidate({ bias: -1, decision: { meanConfidence: 1 } }),
    ];
    await promote(former);
    await setPolicy({ guard: { minutes: 5, minPredictions: 5, minConfidenceRatio: 1 } });
    await promote(timid);
    await serves(fixture.served, timid);
    for (let each = 0; each < 8; each += 1) await predictedBy();
    await poll(production, (now) => now === former.version, 15_000);
    await serves(fixture.served, former);
    const [last] = await moves();
    expect(last).toMatchObject({ kind: 'rollback', actor: 'guard' });
    expect(last?.reason).toMatch(/Confidence has collapsed/);
  });
});

it('changes of Production are counted, and shown with the time of the last training', async () => {
  const { promotions, rollbacks } = await fixture.stores.registry.totals();
  expect(rollbacks).toBeGreaterThan(0);
  const text = await (await fetch(`${fixture.served.url}/metrics`)).text();
  const value = (series: string): number => Number(new RegExp(`^${series} (\\S+)$`, 'm').exec(text)?.[1]);
  expect(value('mlops_promotions_total{result="promoted"}')).toBe(promotions);
  expect(value('mlops_promotions_total{result="rolled_back"}')).toBe(rollbacks);
  expect(value('mlops_training_last_success_timestamp_seconds')).toBeCloseTo(Date.now() / 1000, -3);
});
