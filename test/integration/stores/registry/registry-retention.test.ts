import { randomUUID } from 'node:crypto';
import { planRetention } from '../../../../domain/registry/version-retention.js';
import { deleteVersion, finishDeletions, type DeletionStores } from '../../../../stores/registry/delete-version.js';
import { lockModel, setStage } from '../../../../stores/promotion/production.js';
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

const wish = { by: curator, reason: 'no use', ifRevision: null };

async function register(modelName: string, count = 1): Promise<void> {
  for (let index = 0; index < count; index += 1) await registry.register(newVersionOf(modelName));
}

async function promote(modelName: string, version: number): Promise<void> {
  await registry.promote({
    modelName,
    version,
    by: curator,
    reason: 'better',
    idempotencyKey: randomUUID(),
    workflowId: null,
    expectedGeneration: null,
    approver: null,
  });
}

/** A fake object store that holds keys, and fails while `away` is true. */
function fakeObjects(keys: string[]): DeletionStores['objects'] & { keys: Set<string>; away: boolean } {
  const held = new Set(keys);
  return {
    keys: held,
    away: false,
    delete(key) {
      if (this.away) return Promise.reject(new Error('away'));
      held.delete(key);
      return Promise.resolve();
    },
    deletePrefix(prefix) {
      if (this.away) return Promise.reject(new Error('away'));
      for (const key of held) if (key.startsWith(prefix)) held.delete(key);
      return Promise.resolve();
    },
  };
}

async function referencesTo(modelName: string, version: number): Promise<readonly string[] | undefined> {
  const facts = await registry.retentionFacts(modelName);
  return facts.find((each) => each.version === version)?.references;
}

describe('what refers to a version', () => {
  it('is named: Production, what a rollback leads to, aliases', async () => {
    await register('referred', 3);
    await promote('referred', 1);
    await promote('referred', 2);
    await registry.setAlias('referred', 'champion', 3, curator);
    await registry.setAlias('referred', 'best', 3, curator);
    expect(await referencesTo('referred', 2)).toEqual(['it is in Production']);
    expect(await referencesTo('referred', 1)).toEqual(['a rollback of version 2 in Production would restore it']);
    expect(await referencesTo('referred', 3)).toEqual([
      'the alias best points at it',
      'the alias champion points at it',
    ]);
    for (const version of [1, 2, 3]) {
      await expect(registry.markDeleted('referred', version, wish)).rejects.toMatchObject({ code: 'referenced' });
    }
    await promote('referred', 3);
    expect(await referencesTo('referred', 1)).toEqual([]);
  });

  it('may be a prediction, while it is stored', async () => {
    await register('predicting');
    await records.db.query(
      `INSERT INTO predictions (id, created_at, model_name, version, generation, replica, bundle_sha256, predicted,
         confidence, latency_ms, route)
       VALUES ($1, now(), 'predicting', 1, 1, 'r', 'b', 'grass', 0.9, 1, 'predict')`,
      [randomUUID()],
    );
    const refused = registry.markDeleted('predicting', 1, wish);
    await expect(refused).rejects.toThrow(/stored predictions were made by it/);
    await records.db.query(`DELETE FROM predictions WHERE model_name = 'predicting'`);
    expect((await registry.markDeleted('predicting', 1, wish)).deletedBy).toBe('curator');
  });
});

describe('deleting', () => {
  it('leaves a tombstone with actor and time, and a number that is not reused', async () => {
    await register('gone', 2);
    await registry.markDeleted('gone', 2, wish);
    await expect(registry.get('gone', 2)).rejects.toThrow(/Version 2 of gone was deleted by curator at \d{4}-/);
    expect((await registry.list('gone', { limit: 10 })).items.map(({ version }) => version)).toEqual([1]);
    expect((await registry.resolve('gone', '@latest')).version).toBe(1);
    expect((await registry.register(newVersionOf('gone'))).version).toBe(3);
    await expect(registry.setAlias('gone', 'x', 2, curator)).rejects.toMatchObject({ code: 'not_found' });
    await expect(promote('gone', 2)).rejects.toMatchObject({ name: 'PerennialError' });
  });

  it('removes the bundle, and finishes later if the object store was unavailable', async () => {
    await register('stored');
    const { bundleKey } = await registry.get('stored', 1);
    const objects = fakeObjects([`${bundleKey}/manifest.json`, `${bundleKey}/model.onnx`, `${bundleKey}0/model.onnx`]);
    const deletion = { modelName: 'stored', version: 1, by: curator, reason: 'no use' };
    objects.away = true;
    await expect(deleteVersion({ registry, objects }, deletion)).rejects.toThrow('away');
    expect(objects.keys.size).toBe(3);
    objects.away = false;
    await deleteVersion({ registry, objects }, deletion);
    expect([...objects.keys]).toEqual([`${bundleKey}0/model.onnx`]);
    await expect(deleteVersion({ registry, objects }, deletion)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('that was interrupted is finished together with all others', async () => {
    await register('interrupted', 2);
    await Promise.all([1, 2].map((version) => registry.markDeleted('interrupted', version, wish)));
    const keys = (await registry.unfinishedDeletions()).map(({ bundleKey }) => `${bundleKey ?? ''}/model.onnx`);
    const objects = fakeObjects(keys);
    expect(await finishDeletions({ registry, objects })).toBe(keys.length);
    expect(objects.keys.size).toBe(0);
    expect(await registry.unfinishedDeletions()).toEqual([]);
  });

  it('does not remove a bundle that another version uses', async () => {
    const bundleKey = 'models/shared/one';
    await registry.register(newVersionOf('shared', { bundleKey }));
    await registry.register(newVersionOf('shared', { bundleKey }));
    const objects = fakeObjects([`${bundleKey}/manifest.json`]);
    await deleteVersion({ registry, objects }, { modelName: 'shared', version: 1, by: curator, reason: 'twice' });
    expect(objects.keys.size).toBe(1);
    await deleteVersion({ registry, objects }, { modelName: 'shared', version: 2, by: curator, reason: 'twice' });
    expect(objects.keys.size).toBe(0);
  });

  it('waits for a promotion under way, and then finds what it has done', async () => {
    await register('waiting', 1);
    let deletion: Promise<unknown> = Promise.resolve();
    await records.db.transaction(async (tx) => {
      await lockModel(tx, 'waiting');
      deletion = registry.markDeleted('waiting', 1, wish);
      deletion.catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await setStage(tx, 'waiting', 1, 'Production');
    });
    await expect(deletion).rejects.toMatchObject({ code: 'referenced' });
  });

  it('while promoting ends with one of the two, and never with a served tombstone', async () => {
    await register('raced', 10);
    await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => [
        promote('raced', index + 1),
        registry.markDeleted('raced', index + 1, wish),
      ]).flat(),
    );
    const served = await registry.servingState('raced');
    expect(served.version).toEqual(await registry.production('raced'));
    const broken = await records.db.query(
      `SELECT FROM model_versions WHERE model_name = 'raced' AND deleted_at IS NOT NULL AND stage <> 'Archived'`,
    );
    expect(broken).toEqual([]);
  });
});

describe('retention', () => {
  it('plans by the rows of the database and can carry the plan out', async () => {
    await register('many', 14);
    await promote('many', 1);
    await promote('many', 2);
    await promote('many', 14);
    await registry.setAlias('many', 'reference', 3, curator);
    const plan = planRetention(await registry.retentionFacts('many'), { keep: 10, now: new Date() });
    expect(plan.retire).toEqual([4]);
    expect(plan.kept.slice(-3)).toEqual([
      { version: 3, reason: 'the alias reference points at it' },
      { version: 2, reason: 'a rollback of version 14 in Production would restore it' },
      { version: 1, reason: 'it was in Production within the last 90 days' },
    ]);
    const years = planRetention(await registry.retentionFacts('many'), { keep: 10, now: new Date(Date.now() + 1e11) });
    expect(years.retire).toEqual([1, 4]);
    for (const version of years.retire) await registry.markDeleted('many', version, wish);
    expect((await registry.list('many', { limit: 50 })).items).toHaveLength(12);
  });
});
