import { randomUUID } from 'node:crypto';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { createRegistryStore, type RegistryStore } from '../../../../stores/registry/registry.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';
import { decisionOf, evaluationOf } from '../../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

let records: TestDatabase;
let registry: RegistryStore;
beforeAll(async () => {
  records = await startTestDatabase();
  registry = createRegistryStore(records.db);
});
afterAll(() => records.stop());

function register(modelName: string, runId: string = randomUUID()): Promise<ModelVersion> {
  return registry.register({
    modelName,
    runId,
    architecture: 'cnn',
    labels: ['a', 'b'],
    dataset: 'flowers',
    datasetVersion: 1,
    datasetDigest: 'd',
    bundleKey: 'models/x',
    bundleSha256: '0'.repeat(64),
    sizeBytes: 5_000_000_000,
    evaluation: evaluationOf(0.9),
    semanticVersion: nextSemanticVersion,
  });
}

describe('registering', () => {
  it('counts versions per model, also when many register at once', async () => {
    const versions = await Promise.all(Array.from({ length: 10 }, () => register('counted')));
    expect(versions.map(({ version }) => version).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect((await register('other')).version).toBe(1);
  });

  it('returns the existing version for a run that is registered already', async () => {
    const runId = randomUUID();
    const both = await Promise.all([register('once', runId), register('once', runId)]);
    expect(both[0]).toEqual(both[1]);
    expect((await registry.list('once', { limit: 10 })).items).toHaveLength(1);
  });

  it('puts a version in Staging and returns every field', async () => {
    const registered = await register('whole');
    expect(registered).toMatchObject({
      stage: 'Staging',
      labels: ['a', 'b'],
      sizeBytes: 5_000_000_000,
      decision: null,
    });
    await registry.recordDecision('whole', 1, decisionOf('refuse'));
    const { items } = await createAuditStore(records.db).list({ limit: 1, subject: 'models/whole' });
    expect(items).toMatchObject([{ action: 'version.decide', actor: 'validateModel', after: { outcome: 'refuse' } }]);
    const decided = await registry.get('whole', 1);
    expect(decided).toEqual({
      ...registered,
      decision: decisionOf('refuse'),
      lastValidation: decisionOf('refuse'),
      lastValidatedAt: decided.lastValidatedAt,
      revision: 2,
    });
    await expect(registry.get('whole', 2)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('lists versions newest first, page by page', async () => {
    for (let index = 0; index < 5; index += 1) await register('listed');
    const first = await registry.list('listed', { limit: 3 });
    const second = await registry.list('listed', { limit: 3, pageToken: first.nextPageToken });
    expect([...first.items, ...second.items].map(({ version }) => version)).toEqual([5, 4, 3, 2, 1]);
    expect(second.nextPageToken).toBeNull();
  });
});

describe('replicas', () => {
  it('are alive as long as they report', async () => {
    const idle = { error: null, errorCode: null, figures: null };
    const failed = { error: 'a byte differs', errorCode: 'bundle_invalid', figures: null };
    const report = { replicaId: 'r1', url: 'http://a', modelName: 'rose', generation: 3, version: 2, ...idle };
    await registry.reportReplica(report);
    await registry.reportReplica({ ...report, generation: 4, ...failed });
    expect(await registry.liveReplicas('rose', 10_000)).toMatchObject([{ ...report, generation: 4, ...failed }]);
    await records.db.query(`UPDATE replicas SET seen_at = now() - interval '1 minute'`);
    expect(await registry.liveReplicas('rose', 10_000)).toEqual([]);
  });

  it('are removed when they shut down', async () => {
    const report = {
      url: 'http://a',
      modelName: 'tulip',
      generation: 3,
      version: 2,
      error: null,
      errorCode: null,
      figures: null,
    };
    await registry.reportReplica({ ...report, replicaId: 'stays' });
    await registry.reportReplica({ ...report, replicaId: 'leaves' });
    await registry.removeReplica('leaves');
    expect(await registry.liveReplicas('tulip', 10_000)).toMatchObject([{ replicaId: 'stays' }]);
  });
});
