import { randomUUID } from 'node:crypto';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import type { ProductionMove } from '../../../../stores/promotion/promotions.js';
import { createRegistryStore, type RegistryStore } from '../../../../stores/registry/registry.js';
import type { Rollback } from '../../../../stores/promotion/rollbacks.js';
import { decisionOf, tester, unfenced } from '../../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';
import { messagesOf, newVersionOf } from '../../../support/registry-records.js';
import { textMatching } from '../../../support/text-matching.js';

let records: TestDatabase;
let registry: RegistryStore;
beforeAll(async () => {
  records = await startTestDatabase();
  registry = createRegistryStore(records.db);
});
afterAll(() => records.stop());

const register = (modelName: string): Promise<unknown> => registry.register(newVersionOf(modelName));

function promote(modelName: string, version: number, idempotencyKey: string = randomUUID()): Promise<ProductionMove> {
  return registry.promote({ modelName, version, reason: 'better', idempotencyKey, ...unfenced });
}

function rollBack(modelName: string, version: number | null = null, key: string = randomUUID()): Promise<Rollback> {
  return registry.rollBack({ modelName, version, by: tester, reason: 'worse', idempotencyKey: key });
}

describe('the decision of a version', () => {
  const decide = (version: number, summary: string): Promise<void> =>
    registry.recordDecision('decided', version, decisionOf('promote', summary));
  const decisionsOf = async (version: number): Promise<(string | undefined)[]> => {
    const { decision, lastValidation } = await registry.get('decided', version);
    return [decision?.summary, lastValidation?.summary];
  };

  it('stays the one it was promoted by, in Production, archived and after a rollback; a later validation stands beside it', async () => {
    await register('decided');
    await register('decided');
    await decide(1, 'first look');
    expect(await decisionsOf(1)).toEqual(['first look', 'first look']);
    await decide(1, 'before the promotion');
    await promote('decided', 1);
    await decide(1, 'in Production');
    expect(await decisionsOf(1)).toEqual(['before the promotion', 'in Production']);
    expect((await registry.get('decided', 1)).lastValidatedAt).not.toBeNull();
    await decide(2, 'better');
    await promote('decided', 2);
    await decide(1, 'archived');
    await rollBack('decided');
    await decide(1, 'serves again');
    expect(await decisionsOf(1)).toEqual(['before the promotion', 'serves again']);
    await decide(2, 'rolled back');
    expect(await decisionsOf(2)).toEqual(['better', 'rolled back']);
  });

  it('becomes the newest validation when it is promoted again', async () => {
    await registry.setStage('decided', 2, { stage: 'Staging', reason: 'again' }, { by: tester, ifRevision: null });
    await decide(2, 'second chance');
    expect(await decisionsOf(2)).toEqual(['better', 'second chance']);
    await promote('decided', 2);
    expect(await decisionsOf(2)).toEqual(['second chance', 'second chance']);
  });
});

describe('rolling back', () => {
  it('puts the previous version back in Production, with its history, notification and audit entry in one transaction', async () => {
    await register('back');
    await register('back');
    await promote('back', 1);
    await promote('back', 2);
    expect(await rollBack('back')).toEqual({ version: 1, formerVersion: 2, generation: 3, repeated: false });
    expect((await registry.production('back'))?.version).toBe(1);
    expect((await registry.get('back', 2)).stage).toBe('Archived');
    expect((await registry.productionMoves('back', { limit: 1 })).items).toMatchObject([
      { kind: 'rollback', version: 1, insteadOf: 2 },
    ]);
    expect(await messagesOf(records.db, 'back')).toEqual(['model.promotion', 'model.promotion', 'model.rollback']);
    const audit = await createAuditStore(records.db).list({ limit: 1, subject: 'models/back' });
    expect(audit.items[0]).toMatchObject({
      actor: 'test',
      action: 'model.roll_back',
      before: { production: 2 },
      after: { production: 1, generation: 3, reason: 'worse' },
    });
  });

  it('without a previous version says what to do instead', async () => {
    await register('first');
    await expect(rollBack('first')).rejects.toMatchObject({
      code: 'conflict',
      message: textMatching(/nothing is in Production.*Promote/),
    });
    await promote('first', 1);
    await expect(rollBack('first')).rejects.toMatchObject({
      code: 'conflict',
      message: textMatching(/first that was promoted/),
    });
    await expect(rollBack('nobody')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('names the deleted version that it would go back to', async () => {
    for (let each = 0; each < 3; each += 1) await register('gone');
    for (const version of [1, 2, 3]) await promote('gone', version);
    await registry.markDeleted('gone', 1, { by: tester, reason: 'old', ifRevision: null });
    await rollBack('gone');
    await expect(rollBack('gone')).rejects.toMatchObject({
      code: 'conflict',
      message: textMatching(/version 1.*deleted.*Promote/),
    });
  });

  it('by two clients that saw the same state happens once', async () => {
    for (let each = 0; each < 3; each += 1) await register('twice');
    for (const version of [1, 2, 3]) await promote('twice', version);
    const { generation } = await registry.servingState('twice');
    const request = { modelName: 'twice', version: null, by: tester, reason: 'worse', expectedGeneration: generation };
    const both = await Promise.allSettled(
      ['a', 'b'].map((key) => registry.rollBack({ ...request, idempotencyKey: `twice-${key}` })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'stale_promotion' } });
    expect((await registry.production('twice'))?.version).toBe(2);
  });

  it('goes to a named version only if it has served before', async () => {
    for (let each = 0; each < 4; each += 1) await register('named');
    for (const version of [1, 2, 3]) await promote('named', version);
    await expect(rollBack('named', 4)).rejects.toMatchObject({
      code: 'conflict',
      message: textMatching(/never in Production/),
    });
    await expect(rollBack('named', 3)).rejects.toMatchObject({
      code: 'conflict',
      message: textMatching(/already/),
    });
    await expect(rollBack('named', 9)).rejects.toMatchObject({ code: 'not_found' });
    expect(await rollBack('named', 1)).toMatchObject({ version: 1, formerVersion: 3 });
  });

  it('twenty times with one key happens once', async () => {
    for (let each = 0; each < 3; each += 1) await register('keyed-back');
    for (const version of [1, 2, 3]) await promote('keyed-back', version);
    const rollbacks = await Promise.all(Array.from({ length: 20 }, () => rollBack('keyed-back', null, 'back-once')));
    expect(rollbacks.filter(({ repeated }) => !repeated)).toHaveLength(1);
    expect(new Set(rollbacks.map(({ version }) => version))).toEqual(new Set([2]));
    await expect(rollBack('keyed-back', 1, 'back-once')).rejects.toMatchObject({ code: 'conflict' });
    expect((await registry.servingState('keyed-back')).generation).toBe(4);
  });

  it('does not revert a version that was promoted again since', async () => {
    await register('again');
    await register('again');
    await promote('again', 1);
    await promote('again', 2, 'first-time');
    await rollBack('again');
    await records.db.query(`UPDATE model_versions SET stage = 'Staging' WHERE model_name = 'again' AND version = 2`);
    await promote('again', 2, 'second-time');
    const late = registry.revertPromotion({ idempotencyKey: 'first-time', by: tester, reason: 'late guard' });
    await expect(late).rejects.toMatchObject({ code: 'conflict' });
    expect((await registry.production('again'))?.version).toBe(2);
  });

  it('leaves a history whose rows Postgres refuses to change', async () => {
    for (const change of ['UPDATE promotions SET reason = $$x$$', 'DELETE FROM promotions', 'TRUNCATE promotions']) {
      await expect(records.db.query(change)).rejects.toThrow(/append-only/);
    }
  });
});
