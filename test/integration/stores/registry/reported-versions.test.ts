import { randomUUID } from 'node:crypto';
import type { RegisteredVersion } from '../../../../contracts/registry/registry.js';
import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';
import { deleteVersion } from '../../../../stores/registry/delete-version.js';
import type { ReportedRegistration } from '../../../../stores/registry/reported-versions.js';
import { createRegistryStore, type RegistryStore } from '../../../../stores/registry/registry.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';
import { curator, newVersionOf } from '../../../support/registry-records.js';

let records: TestDatabase;
let registry: RegistryStore;
beforeAll(async () => {
  records = await startTestDatabase();
  registry = createRegistryStore(records.db);
});
afterAll(() => records.stop());

const any = { by: curator, ifRevision: null };

function report(modelName: string, given: Partial<ReportedRegistration> = {}): Promise<RegisteredVersion> {
  return registry.report({
    ...{ modelName, metrics: { accuracy: 0.9 }, description: 'told', tags: {}, by: curator },
    ...{ semanticVersion: nextSemanticVersion, idempotencyKey: randomUUID() },
    ...given,
  });
}

describe('a version without a file', () => {
  it('is in None, and no version that needs one', async () => {
    expect(await report('bare')).toMatchObject({ version: 1, stage: 'None', origin: 'reported', evaluation: null });
    for (const asked of [registry.get('bare', 1), registry.resolve('bare', '@latest')]) {
      await expect(asked).rejects.toMatchObject({ code: 'version_without_file' });
    }
    const promotion = { modelName: 'bare', version: 1, by: curator, reason: 'best', idempotencyKey: randomUUID() };
    await expect(registry.requirePromotable(promotion)).rejects.toMatchObject({ code: 'version_without_file' });
    await expect(
      registry.promote({ ...promotion, workflowId: null, expectedGeneration: null, approver: null }),
    ).rejects.toMatchObject({ code: 'version_without_file' });
    await expect(registry.setStage('bare', 1, { stage: 'Staging', reason: 'best' }, any)).rejects.toMatchObject({
      code: 'version_without_file',
    });
  });

  it('cannot be in Staging or Production in the database either', async () => {
    await report('guarded');
    for (const stage of ['Staging', 'Production']) {
      await expect(
        records.db.query(`UPDATE model_versions SET stage = $1 WHERE model_name = 'guarded'`, [stage]),
      ).rejects.toThrow(/model_versions_file_check/);
    }
  });

  it('counts as other data in semantic versions, and nothing is compared with it', async () => {
    expect((await report('counted')).semanticVersion).toBe('1.0.0');
    expect((await registry.register(newVersionOf('counted'))).semanticVersion).toBe('1.1.0');
    expect((await report('counted')).semanticVersion).toBe('1.2.0');
    expect((await registry.register(newVersionOf('counted'))).semanticVersion).toBe('1.2.1');
    await expect(report('counted', { semanticVersion: '1.1.0' })).rejects.toMatchObject({ code: 'conflict' });
  });

  it('is not @latest beside one with a file, in no list of models either', async () => {
    await registry.register(newVersionOf('newest'));
    await report('newest');
    expect((await registry.resolve('newest', '@latest')).version).toBe(1);
    expect(await registry.aliases('newest')).toMatchObject([{ alias: 'latest', version: 1 }]);
    expect(await registry.summary('newest')).toMatchObject({ versions: 2, latestVersion: 1 });
    await registry.setAlias('newest', 'paper', 2, curator);
    expect(await registry.resolveAny('newest', '@paper')).toMatchObject({ version: 2, origin: 'reported' });
  });

  it('takes no place among the versions that retention keeps', async () => {
    await registry.register(newVersionOf('many'));
    for (let count = 0; count < 12; count += 1) await report('many');
    expect((await registry.retentionFacts('many')).map(({ version }) => version)).toEqual([1]);
  });

  it('is deleted without a bundle to remove, and its key is used up', async () => {
    const idempotencyKey = 'once';
    await report('gone', { idempotencyKey });
    const removed: string[] = [];
    const remove = (key: string): Promise<void> => {
      removed.push(key);
      return Promise.resolve();
    };
    const objects = { delete: remove, deletePrefix: remove };
    await deleteVersion({ registry, objects }, { modelName: 'gone', version: 1, by: curator, reason: 'wrong' });
    expect(removed).toEqual([]);
    expect(await registry.unfinishedDeletions()).toEqual([]);
    await expect(report('gone', { idempotencyKey })).rejects.toThrow(/Version 1 of gone was deleted by curator/);
  });
});

describe('a file for a version', () => {
  it('keeps number, semantic version, description and reported metrics, and moves it to Staging', async () => {
    const before = await report('filled', { tags: { by: 'hand', kind: 'paper' } });
    const filled = await registry.register(
      newVersionOf('filled', { fills: 1, origin: 'uploaded', tags: { by: 'ada' } }),
    );
    expect(filled).toMatchObject({
      ...{ version: 1, stage: 'Staging', origin: 'uploaded', semanticVersion: before.semanticVersion },
      ...{ description: 'told', tags: { by: 'ada', kind: 'paper' }, reportedMetrics: { accuracy: 0.9 } },
      revision: before.revision + 1,
    });
    expect(await registry.get('filled', 1)).toEqual(filled);
    expect(
      await records.db.query(`SELECT former_stage, stage, actor FROM stage_changes WHERE model_name = 'filled'`),
    ).toEqual([{ formerStage: 'None', stage: 'Staging', actor: 'trainModel' }]);
  });

  it('is refused for a version that has one', async () => {
    await registry.register(newVersionOf('taken'));
    await expect(registry.register(newVersionOf('taken', { fills: 1 }))).rejects.toMatchObject({ code: 'conflict' });
    await expect(registry.register(newVersionOf('taken', { fills: 2 }))).rejects.toMatchObject({ code: 'not_found' });
    expect((await registry.list('taken', { limit: 10 })).items).toHaveLength(1);
  });
});
