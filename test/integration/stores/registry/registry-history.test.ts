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

interface Planted {
  kind: 'promotion' | 'rollback';
  version: number;
  formerVersion: number | null;
  day: number;
}

/** A history as promotions and rollbacks write it, at chosen times. */
async function plant(modelName: string, moves: readonly Planted[]): Promise<void> {
  for (let index = 0; index < 3; index += 1) await registry.register(newVersionOf(modelName));
  for (const { kind, version, formerVersion, day } of moves) {
    await records.db.query(
      `INSERT INTO promotions (model_name, kind, version, former_version, generation, actor, reason, idempotency_key,
         created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [modelName, kind, version, formerVersion, day, `person ${day}`, `reason ${day}`, `${modelName}-${day}`, at(day)],
    );
  }
}

const at = (day: number, hour = 12): Date => new Date(Date.UTC(2030, 0, day, hour));

const plantedMoves: readonly Planted[] = [
  { kind: 'promotion', version: 1, formerVersion: null, day: 1 },
  { kind: 'promotion', version: 2, formerVersion: 1, day: 3 },
  { kind: 'rollback', version: 2, formerVersion: 1, day: 5 },
  { kind: 'promotion', version: 3, formerVersion: 1, day: 7 },
];

describe('what was in Production at a time', () => {
  beforeAll(() => plant('told', plantedMoves));

  it.each([
    [1, { version: 1, insteadOf: null, kind: 'promotion', actor: 'person 1', until: at(3).toISOString() }],
    [2, { version: 1, insteadOf: null, reason: 'reason 1' }],
    [4, { version: 2, insteadOf: 1, actor: 'person 3', until: at(5).toISOString() }],
    [6, { version: 1, insteadOf: 2, kind: 'rollback', actor: 'person 5', reason: 'reason 5' }],
    [9, { version: 3, insteadOf: 1, kind: 'promotion', until: null }],
  ])('is known for day %i, with actor, reason and replaced version', async (day, expected) => {
    expect(await registry.productionAt('told', at(day, 13))).toMatchObject(expected);
  });

  it('is nothing before the first promotion, and changes at the very moment', async () => {
    expect(await registry.productionAt('told', at(1, 11))).toBeNull();
    expect((await registry.productionAt('told', at(3)))?.version).toBe(2);
    expect((await registry.productionAt('told', new Date(at(3).getTime() - 1)))?.version).toBe(1);
  });

  it('is nothing after a rollback of the first version', async () => {
    await plant('lonely', [
      { kind: 'promotion', version: 1, formerVersion: null, day: 1 },
      { kind: 'rollback', version: 1, formerVersion: null, day: 2 },
    ]);
    expect(await registry.productionAt('lonely', at(3))).toMatchObject({ version: null, insteadOf: 1 });
  });

  it('needs an existing model', async () => {
    await expect(registry.productionAt('nobody', at(1))).rejects.toMatchObject({ code: 'not_found' });
    await expect(registry.productionMoves('nobody', { limit: 1 })).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('the history of Production', () => {
  it('is listed newest first, page by page', async () => {
    await plant('paged', plantedMoves);
    const first = await registry.productionMoves('paged', { limit: 3 });
    const second = await registry.productionMoves('paged', { limit: 3, pageToken: first.nextPageToken });
    expect([...first.items, ...second.items].map(({ version, insteadOf }) => [version, insteadOf])).toEqual([
      [3, 1],
      [1, 2],
      [2, 1],
      [1, null],
    ]);
    expect(second.nextPageToken).toBeNull();
  });

  it('has times in the order of the moves, also when twenty promote at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => registry.register(newVersionOf('crowded'))));
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        registry.promote({
          modelName: 'crowded',
          version: index + 1,
          by: curator,
          reason: 'race',
          idempotencyKey: `crowded-${index}`,
          workflowId: null,
          expectedGeneration: null,
          approver: null,
        }),
      ),
    );
    const { items } = await registry.productionMoves('crowded', { limit: 50 });
    const times = items.map(({ at: time }) => time);
    expect(times).toEqual([...times].sort().reverse());
    expect(items.map(({ generation }) => generation)).toEqual(Array.from({ length: 20 }, (_, index) => 20 - index));
    expect(items.slice(0, -1).map(({ insteadOf }) => insteadOf)).toEqual(items.slice(1).map(({ version }) => version));
  });
});
