import { modelPolicySchema } from '../../../contracts/promotion/policy.js';
import type { ModelVersion } from '../../../contracts/registry/registry.js';
import type { AuditRecord } from '../../../stores/audit/audit.js';
import { createApiClient } from '../../support/api-client.js';
import { createRequests } from '../../support/requests.js';
import { tester } from '../../support/measurements.js';
import { startPromotionFixture, type PromotionFixture } from '../../support/promotion-fixture.js';

let fixture: PromotionFixture;
const modelName = 'dandelion_grass_classifier';

beforeAll(async () => {
  fixture = await startPromotionFixture();
  await fixture.startWorker();
});
afterAll(() => fixture.stop());

const { ask } = createRequests(() => fixture.served.url);
const post = (path: string, body: object = {}): Promise<Response> => ask(path, { method: 'POST', body });

function setPolicy(approval: object): Promise<void> {
  const policy = modelPolicySchema.parse({ guard: { minutes: 0 }, approval });
  return fixture.stores.policies.set(modelName, policy, tester);
}

/** Promotes a new version that waits for approval; returns the path of its run. */
async function waiting(): Promise<{ version: ModelVersion; path: string }> {
  const version = await fixture.candidate();
  const response = await post('/api/v1/mlops/models/promote', { version: version.version, reason: 'better' });
  expect(response.status).toBe(202);
  return { version, path: response.headers.get('location') ?? '' };
}

const ended = (path: string): ReturnType<ReturnType<typeof createApiClient>['ended']> =>
  createApiClient(fixture.served.url).ended(path.split('/').at(-1) ?? '', 20_000);

/** Audit entries of a version after its registration and its decision, oldest first. */
async function changesOf({ version }: ModelVersion): Promise<AuditRecord[]> {
  const subject = `models/${modelName}/versions/${version}`;
  const { items } = await fixture.stores.audit.list({ limit: 20, subject });
  return items.reverse().slice(2);
}

describe('the audit log', () => {
  it('shows who requested a validation', async () => {
    const version = await fixture.candidate();
    const path = `/api/v1/mlops/models/${modelName}/versions/${version.version}/validate`;
    expect((await post(path)).status).toBe(202);
    expect(await changesOf(version)).toMatchObject([
      { action: 'version.validate', actor: 'ada', via: 'rest', after: { joined: false } },
    ]);
  });

  it('shows the person who promoted, not the workflow', async () => {
    await setPolicy({ mode: 'never' });
    const version = await fixture.candidate();
    await post('/api/v1/mlops/models/promote', { version: version.version, reason: 'better' });
    expect(await changesOf(version)).toMatchObject([
      { action: 'model.promote', actor: 'ada', after: { reason: 'better' } },
    ]);
  });

  it.each(['approve', 'reject'] as const)('shows who answered: %s', async (verb) => {
    await setPolicy({ mode: 'always' });
    const { version, path } = await waiting();
    expect((await post(`${path}/${verb}`, { comment: 'seen' })).status).toBe(200);
    await ended(path);
    const outcome = verb === 'approve' ? 'approved' : 'rejected';
    const answered = (await changesOf(version)).filter(({ action }) => action.startsWith('approval.'));
    expect(answered).toMatchObject([
      {
        action: `approval.${outcome}`,
        actor: 'ada',
        before: { outcome: 'waiting' },
        after: { outcome, comment: 'seen' },
      },
    ]);
  });

  it('shows that an approval expired', async () => {
    await setPolicy({ mode: 'always', onExpiry: 'reject', expiresAfterHours: 0.3 / 3600 });
    const version = await fixture.candidate();
    const answer = await post('/api/v1/mlops/models/promote', { version: version.version, reason: 'better' });
    await ended(answer.headers.get('location') ?? '');
    const changes = await changesOf(version);
    expect(changes).toMatchObject([{ action: 'approval.expired', via: 'workflow', after: { outcome: 'expired' } }]);
  });
});
