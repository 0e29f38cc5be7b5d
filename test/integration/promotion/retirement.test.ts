import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { createApprovalActivities } from '../../../activities/promotion/approval-activities.js';
import { errorCodeOf } from '../../../contracts/errors.js';
import { retirementViewSchema } from '../../../contracts/promotion/http-promotions.js';
import { modelPolicySchema } from '../../../contracts/promotion/policy.js';
import { modelSummaryViewSchema } from '../../../contracts/registry/http-models.js';
import type { ModelVersion } from '../../../contracts/registry/registry.js';
import { createAuditStore } from '../../../stores/audit/audit.js';
import { createApiClient, type ApiClient } from '../../support/api-client.js';
import { expectConsistentProduction } from '../../support/consistent-production.js';
import { tester } from '../../support/measurements.js';
import { startPromotionFixture, type PromotionFixture } from '../../support/promotion-fixture.js';
import { messagesOf } from '../../support/registry-records.js';
import { formWith, redImage, serves } from '../../support/served-api.js';

const modelName = 'dandelion_grass_classifier';
const models = '/api/v1/mlops/models';

let fixture: PromotionFixture;
let api: ApiClient;
beforeAll(async () => {
  fixture = await startPromotionFixture();
  await fixture.startWorker();
  api = createApiClient(fixture.served.url);
  const policy = modelPolicySchema.parse({ guard: { minutes: 0 } });
  await fixture.stores.policies.set(modelName, policy, tester);
});
afterAll(() => fixture.stop());

type Answer = { status: number; body: unknown };

async function send(
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(fixture.served.url + path, {
    method,
    headers: { 'content-type': 'application/json', 'x-actor': 'ada', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}
const post = (path: string, body: unknown, headers?: Record<string, string>): Promise<Answer> =>
  send('POST', path, body, headers);
const retire = (headers?: Record<string, string>): Promise<Answer> =>
  post(`${models}/${modelName}/retire`, { reason: 'replaced by another model' }, headers);
const detailOf = ({ body }: Answer): string => z.object({ detail: z.string() }).parse(body).detail;
const predict = async (): Promise<Answer> => {
  const body = formWith('file', await redImage());
  const response = await fetch(`${fixture.served.url}/predict`, { method: 'POST', body });
  return { status: response.status, body: await response.json() };
};

/** A version in Production, served. */
async function promoted(): Promise<ModelVersion> {
  const version = await fixture.candidate();
  expect(await post(`${models}/promote`, { version: version.version, reason: 'better' })).toMatchObject({
    status: 200,
  });
  await serves(fixture.served, version);
  return version;
}

describe('retiring a model', () => {
  it('leaves nothing served, with reason, actor, audit, history and notification, once for its key', async () => {
    const version = await promoted();
    const key = { 'idempotency-key': randomUUID() };
    const answers = [await retire(key), await retire(key)];
    const [first, again] = answers.map(({ body }) => retirementViewSchema.parse(body));
    expect(first).toMatchObject({
      ...{ version: String(version.version), by: 'ada', reason: 'replaced by another model', repeated: false },
      replicas: [{ unloaded: true }],
    });
    expect(again).toMatchObject({ generation: first?.generation, repeated: true });
    expect(fixture.served.host.current()).toBeNull();
    expect((await fixture.stores.registry.get(modelName, version.version)).stage).toBe('Archived');
    const { body } = await api.get(`${models}/${modelName}`);
    expect(modelSummaryViewSchema.parse(body)).toMatchObject({
      production_version: null,
      retired: { version: String(version.version), by: 'ada', reason: 'replaced by another model' },
    });
    const history = await api.get(`${models}/${modelName}/history?limit=1`);
    expect(history.body).toMatchObject({
      items: [{ kind: 'retirement', version: null, instead_of: String(version.version), until: null, by: 'ada' }],
    });
    const audit = await createAuditStore(fixture.served.api.database).list({
      limit: 1,
      subject: `models/${modelName}`,
    });
    expect(audit.items[0]).toMatchObject({ action: 'model.retire', actor: 'ada', after: { production: null } });
    expect((await messagesOf(fixture.served.api.database, modelName)).at(-1)).toBe('model.retirement');
    await expectConsistentProduction(fixture.served.api.database, modelName);
  });

  it('makes predictions answer 503 with the way back, while the process stays ready', async () => {
    await promoted();
    const engine = fixture.served.host.current()?.engine;
    await retire();
    expect(await engine?.predictImage(await redImage()).catch(errorCodeOf)).toBe('no_model');
    const refused = await predict();
    expect(refused).toMatchObject({ status: 503, body: { code: 'model_retired' } });
    expect(detailOf(refused)).toMatch(/retired by ada at .*replaced by another model\. To serve it again.*promote/);
    expect(await api.get('/model/info')).toMatchObject({ status: 503, body: { code: 'model_retired' } });
    expect(await api.get(`/v2/models/${modelName}`)).toMatchObject({ status: 503 });
    expect(await api.get(`/v2/models/${modelName}/ready`)).toMatchObject({ status: 503, body: { ready: false } });
    expect(await api.get('/health/ready')).toMatchObject({ status: 200 });
    expect(await api.get('/health/live')).toMatchObject({ status: 200 });
    const ping = await fetch(`${fixture.served.url}/ping`);
    expect([ping.status, await ping.text()]).toEqual([503, 'Model retired\n']);
    const batch = { source: { kind: 'prefix', prefix: 'some/' } };
    expect(await post('/api/v1/batch-predictions', batch)).toMatchObject({
      status: 503,
      body: { code: 'model_retired' },
    });
  });

  it('ends with the next promotion by a person', async () => {
    const version = await promoted();
    await retire();
    expect(detailOf(await post(`${models}/${modelName}/rollback`, { reason: 'back' }))).toMatch(/retired by ada/);
    const stage = { stage: 'Staging', reason: 'back' };
    expect(await post(`${models}/${modelName}/versions/${version.version}/stage`, stage)).toMatchObject({
      status: 200,
    });
    expect(await post(`${models}/promote`, { version: version.version, reason: 'back' })).toMatchObject({
      status: 200,
    });
    await serves(fixture.served, version);
    expect(await predict()).toMatchObject({ status: 200 });
    expect(modelSummaryViewSchema.parse((await api.get(`${models}/${modelName}`)).body).retired).toBeNull();
    await expectConsistentProduction(fixture.served.api.database, modelName);
  });

  it('says what else to do when nothing is in Production', async () => {
    await promoted();
    await retire();
    const again = await retire();
    expect(again).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(detailOf(again)).toMatch(/retired by ada at .* already.*deleted or erased/);
    expect(await post(`${models}/unknown/retire`, { reason: 'x' })).toMatchObject({ status: 404 });
    expect(await post(`${models}/${modelName}/retire`, {})).toMatchObject({ status: 400 });
  });

  it('is refused for another state than the one it was decided on', async () => {
    const version = await promoted();
    const { generation } = await fixture.stores.registry.servingState(modelName);
    const stale = await post(`${models}/${modelName}/retire`, { reason: 'x', expected_generation: generation - 1 });
    expect(stale).toMatchObject({ status: 409, body: { code: 'stale_promotion' } });
    const { revision } = await fixture.stores.registry.get(modelName, version.version);
    expect(await retire({ 'if-match': `"${version.version}.${revision - 1}"` })).toMatchObject({ status: 412 });
    expect(await retire({ 'if-match': `"${version.version}.${revision}"` })).toMatchObject({ status: 200 });
  });

  it('and a promotion decided on the same state: one of them happens', async () => {
    await promoted();
    const next = await fixture.candidate();
    const { generation } = await fixture.stores.registry.servingState(modelName);
    const both = await Promise.all([
      post(`${models}/promote`, { version: next.version, reason: 'better', expected_generation: generation }),
      post(`${models}/${modelName}/retire`, { reason: 'done', expected_generation: generation }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(both.find(({ status }) => status === 409)).toMatchObject({ body: { code: 'stale_promotion' } });
    await expectConsistentProduction(fixture.served.api.database, modelName);
  });
});

describe('after a retirement', () => {
  it('versions can be archived, deleted and the model erased; before, each refusal names the way', async () => {
    const version = await promoted();
    const path = `${models}/${modelName}/versions/${version.version}`;
    const archive = (): Promise<Answer> => post(`${path}/stage`, { stage: 'Archived', reason: 'old' });
    const erase = (): Promise<Answer> =>
      post('/api/v1/erasures', { kind: 'model', id: modelName, reason: 'the person asked for it' });
    for (const refusal of [await archive(), await send('DELETE', path, undefined), await erase()]) {
      expect(refusal.status).toBe(409);
      expect(detailOf(refusal)).toContain(`POST ${models}/${modelName}/retire`);
    }
    await retire();
    expect(await archive()).toMatchObject({ status: 200 });
    const unserved = await fixture.candidate();
    const deleted = await send('DELETE', `${models}/${modelName}/versions/${unserved.version}`, undefined);
    expect(deleted).toMatchObject({ status: 200 });
    // The smoke test of the promotion left predictions of this one.
    const referenced = await send('DELETE', path, undefined);
    expect(detailOf(referenced)).toMatch(/stored predictions were made by it\. .*POST \/api\/v1\/erasures/);
    expect((await erase()).status).toBeLessThan(300);
    expect(await predict()).toMatchObject({ status: 503, body: { code: 'model_retired' } });
  });

  it('an expired approval that a pipeline asked for does not bring the model back', async () => {
    const policy = modelPolicySchema.parse({
      guard: { minutes: 0 },
      approval: { mode: 'always', onExpiry: 'promote', expiresAfterHours: 0.5 / 3600 },
    });
    await promoted();
    await retire();
    await fixture.stores.policies.set(modelName, policy, tester);
    const { openApproval } = createApprovalActivities(fixture.stores);
    const { version } = await fixture.candidate();
    const asked = { modelName, version, actor: 'pipeline (schedule)', reason: 'better', decision: null };
    const run = { workflowId: 'w', pipelineRunId: randomUUID() };
    const byPipeline = await openApproval({ ...asked, ...run, idempotencyKey: randomUUID() });
    expect(byPipeline.onExpiry).toBe('reject');
    const byPerson = await openApproval({ ...asked, ...run, by: tester, idempotencyKey: randomUUID() });
    expect(byPerson.onExpiry).toBe('promote');
  });
});
