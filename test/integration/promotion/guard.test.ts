import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createGuardActivities, type GuardVerdict } from '../../../activities/promotion/guard-activities.js';
import { createPolicyStore } from '../../../stores/promotion/policies.js';
import { createRegistryStore, type RegistryStore } from '../../../stores/registry/registry.js';
import { unfenced } from '../../support/measurements.js';
import { newVersionOf } from '../../support/registry-records.js';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.js';

const modelName = 'guarded';
let records: TestDatabase;
let registry: RegistryStore;
beforeAll(async () => {
  records = await startTestDatabase();
  registry = createRegistryStore(records.db);
});
afterAll(() => records.stop());

/** Promotes a new version whose predictions all fail, and gives the verdict of the guard. */
async function guardFailing(): Promise<GuardVerdict> {
  const { version } = await registry.register(newVersionOf(modelName));
  const idempotencyKey = randomUUID();
  const { generation } = await registry.promote({ modelName, version, reason: 'new', idempotencyKey, ...unfenced });
  const none = { predictions: 0, p95Ms: null, confidenceSum: 0, classes: {} };
  const current = { generation, version, errors: 1_000, ...none };
  await registry.reportReplica({
    ...{ replicaId: 'one', url: 'http://127.0.0.1:9', modelName, generation, version },
    ...{ error: null, errorCode: null, figures: { current, former: null } },
  });
  const { watchPromotion } = createGuardActivities({ registry, policies: createPolicyStore(records.db) });
  return new MockActivityEnvironment().run(watchPromotion, { modelName, version, generation, idempotencyKey });
}

describe('the guard of a promotion', () => {
  it('lets the first version serve on, and rolls a later one back', async () => {
    expect(await guardFailing()).toEqual({
      outcome: 'kept',
      detail:
        'Version 1 keeps serving, because no version was served before it: 1000 of 1000 predictions failed (100.0 %; at most 5.0 % are allowed).',
    });
    expect(await guardFailing()).toMatchObject({ outcome: 'breach' });
  });
});
