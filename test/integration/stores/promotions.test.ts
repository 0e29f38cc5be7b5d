import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { generationChannel } from '../../../contracts/names.js';
import type { ModelVersion } from '../../../contracts/registry.js';
import { createAuditStore } from '../../../stores/audit.js';
import { createNotificationStore } from '../../../stores/notifications.js';
import type { Move } from '../../../stores/promotions.js';
import { createRegistryStore, type RegistryStore } from '../../../stores/registry.js';
import type { Rollback } from '../../../stores/rollbacks.js';
import { evaluationOf, tester, unfenced } from '../../support/figures.js';
import { startRecords, type TestRecords } from '../../support/records.js';

let records: TestRecords;
let registry: RegistryStore;
beforeAll(async () => {
  records = await startRecords();
  registry = createRegistryStore(records.db);
});
afterAll(() => records.stop());

function register(modelName: string): Promise<ModelVersion> {
  return registry.register({
    modelName,
    runId: randomUUID(),
    architecture: 'cnn',
    labels: ['a', 'b'],
    dataset: 'flowers',
    datasetVersion: 1,
    datasetDigest: 'd',
    bundleKey: 'models/x',
    bundleSha256: '0'.repeat(64),
    sizeBytes: 5_000,
    evaluation: evaluationOf(0.9),
  });
}

function promote(modelName: string, version: number, idempotencyKey: string = randomUUID()): Promise<Move> {
  return registry.promote({ modelName, version, reason: 'better', idempotencyKey, ...unfenced });
}

describe('promoting', () => {
  it('moves Production in one step and archives the former version', async () => {
    await register('moved');
    await register('moved');
    expect(await registry.servingState('moved')).toEqual({ generation: 0, version: null });
    expect(await promote('moved', 1)).toEqual({ formerVersion: null, generation: 1, repeated: false });
    expect(await promote('moved', 2)).toEqual({ formerVersion: 1, generation: 2, repeated: false });
    expect((await registry.get('moved', 1)).stage).toBe('Archived');
    expect(await registry.servingState('moved')).toMatchObject({
      generation: 2,
      version: { version: 2, stage: 'Production' },
    });
    expect(
      (await registry.productionMoves('moved', { limit: 10 })).items.map(({ version, insteadOf }) => [
        version,
        insteadOf,
      ]),
    ).toEqual([
      [2, 1],
      [1, null],
    ]);
  });

  it('by twenty at once leaves one Production and one generation step for each', async () => {
    const versions = await Promise.all(Array.from({ length: 20 }, () => register('crowded')));
    const moves = await Promise.all(versions.map(({ version }) => promote('crowded', version)));
    expect(moves.map(({ generation }) => generation).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    const stages = (await registry.list('crowded', { limit: 50 })).items.map(({ stage }) => stage);
    expect(stages.filter((stage) => stage === 'Production')).toHaveLength(1);
    expect(stages.filter((stage) => stage === 'Archived')).toHaveLength(19);
    const state = await registry.servingState('crowded');
    expect(state.generation).toBe(20);
    expect(state.version).toEqual(await registry.production('crowded'));
  });

  it('twenty times with one key happens once', async () => {
    await register('keyed');
    const moves = await Promise.all(Array.from({ length: 20 }, () => promote('keyed', 1, 'the-key')));
    expect(moves.filter(({ repeated }) => !repeated)).toHaveLength(1);
    expect(new Set(moves.map(({ generation }) => generation))).toEqual(new Set([1]));
    expect((await registry.productionMoves('keyed', { limit: 10 })).items).toHaveLength(1);
  });

  it('refuses what is not in Staging, what does not exist, and a key that was used for something else', async () => {
    await register('refused');
    await register('refused');
    await promote('refused', 1, 'refused-1');
    await expect(promote('refused', 1)).rejects.toMatchObject({ code: 'conflict' });
    await expect(promote('refused', 9)).rejects.toMatchObject({ code: 'not_found' });
    await expect(promote('nobody', 1)).rejects.toMatchObject({ code: 'not_found' });
    await expect(promote('refused', 2, 'refused-1')).rejects.toMatchObject({ code: 'conflict' });
    expect((await registry.servingState('refused')).generation).toBe(1);
  });

  it('can be taken back once: the former version serves again under a new generation', async () => {
    await register('reverted');
    await register('reverted');
    await promote('reverted', 1);
    await promote('reverted', 2, 'bad-move');
    const request = { idempotencyKey: 'bad-move', by: tester, reason: 'smoke test failed' };
    expect(await registry.revertPromotion(request)).toEqual({ formerVersion: 1, generation: 3, repeated: false });
    expect(await registry.revertPromotion(request)).toEqual({ formerVersion: 1, generation: 3, repeated: true });
    expect((await registry.production('reverted'))?.version).toBe(1);
    expect((await registry.get('reverted', 2)).stage).toBe('Archived');
    expect((await registry.productionMoves('reverted', { limit: 1 })).items).toMatchObject([
      { kind: 'rollback', version: 1, insteadOf: 2 },
    ]);
  });

  it('of the first version, taken back, leaves nothing to serve', async () => {
    await register('lonely');
    await promote('lonely', 1, 'lonely-move');
    await registry.revertPromotion({ idempotencyKey: 'lonely-move', by: tester, reason: 'broken' });
    expect(await registry.servingState('lonely')).toEqual({ generation: 2, version: null });
  });

  it('that was followed by another cannot be taken back', async () => {
    await register('followed');
    await register('followed');
    await promote('followed', 1, 'followed-1');
    await promote('followed', 2);
    const late = registry.revertPromotion({ idempotencyKey: 'followed-1', by: tester, reason: 'late' });
    await expect(late).rejects.toMatchObject({ code: 'conflict' });
    expect((await registry.production('followed'))?.version).toBe(2);
  });

  it('cannot be got around: Postgres itself holds a second Production off', async () => {
    await register('held');
    await register('held');
    await promote('held', 1);
    const second = records.db.query(
      `UPDATE model_versions SET stage = 'Production' WHERE model_name = 'held' AND version = 2`,
    );
    await expect(second).rejects.toThrow(/model_versions_one_production/);
  });

  it('notifies those who listen, and leaves a message to send', async () => {
    const heard: string[] = [];
    const stop = await records.db.listen(generationChannel, (payload) => heard.push(payload));
    await register('told');
    await promote('told', 1);
    await records.db.query('SELECT pg_notify($1, $2)', [generationChannel, 'last']);
    while (!heard.includes('last')) await new Promise((resolve) => setTimeout(resolve, 5));
    await stop();
    expect(heard).toContain(JSON.stringify({ modelName: 'told', generation: 1 }));
    const messages = await createNotificationStore(records.db).list({ limit: 200 });
    expect(messages.items.filter(({ payload }) => JSON.stringify(payload).includes('"told"'))).toMatchObject([
      { kind: 'model.promotion' },
    ]);
  });
});

/** Kinds of the messages that speak of a model, oldest first. */
async function messagesOf(modelName: string): Promise<string[]> {
  const rows = await records.db.rows(
    z.object({ kind: z.string() }),
    `SELECT kind FROM outbox WHERE payload->>'modelName' = $1 ORDER BY id`,
    [modelName],
  );
  return rows.map(({ kind }) => kind);
}

function rollBack(modelName: string, version: number | null = null, key: string = randomUUID()): Promise<Rollback> {
  return registry.rollBack({ modelName, version, by: tester, reason: 'worse', idempotencyKey: key });
}

describe('a promotion that was decided on another Production', () => {
  it('is refused, names what is served now, and changes nothing', async () => {
    await register('fenced');
    await register('fenced');
    await promote('fenced', 1);
    const late = registry.promote({
      ...unfenced,
      modelName: 'fenced',
      version: 2,
      reason: 'better',
      idempotencyKey: randomUUID(),
      expectedGeneration: 0,
    });
    await expect(late).rejects.toMatchObject({
      code: 'stale_promotion',
      message: /version 1 \(generation 1 in place of 0\)/,
    });
    expect((await registry.servingState('fenced')).generation).toBe(1);
  });

  it('lets one of fifty through that were decided on the same', async () => {
    const versions = await Promise.all(Array.from({ length: 50 }, () => register('raced')));
    const moves = await Promise.allSettled(
      versions.map(({ version }) =>
        registry.promote({
          ...unfenced,
          modelName: 'raced',
          version,
          reason: 'better',
          idempotencyKey: `raced-${version}`,
          expectedGeneration: 0,
        }),
      ),
    );
    expect(moves.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await registry.servingState('raced')).toMatchObject({ generation: 1 });
    expect((await registry.productionMoves('raced', { limit: 10 })).items).toHaveLength(1);
    expect(await messagesOf('raced')).toEqual(['model.promotion']);
  });
});

describe('rolling back', () => {
  it('puts the version before back in Production, in one step with its history, message and audit entry', async () => {
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
    expect(await messagesOf('back')).toEqual(['model.promotion', 'model.promotion', 'model.rollback']);
    const audit = await createAuditStore(records.db).list({ limit: 1, subject: 'models/back' });
    expect(audit.items[0]).toMatchObject({
      actor: 'test',
      action: 'model.roll_back',
      before: { production: 2 },
      after: { production: 1, generation: 3, reason: 'worse' },
    });
  });

  it('with nothing to go back to says what to do instead', async () => {
    await register('first');
    await expect(rollBack('first')).rejects.toMatchObject({
      code: 'conflict',
      message: /nothing is in Production.*Promote/,
    });
    await promote('first', 1);
    await expect(rollBack('first')).rejects.toMatchObject({ code: 'conflict', message: /first that was promoted/ });
    await expect(rollBack('nobody')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('goes to a named version only if it has served before', async () => {
    for (let each = 0; each < 4; each += 1) await register('named');
    for (const version of [1, 2, 3]) await promote('named', version);
    await expect(rollBack('named', 4)).rejects.toMatchObject({ code: 'conflict', message: /never in Production/ });
    await expect(rollBack('named', 3)).rejects.toMatchObject({ code: 'conflict', message: /already/ });
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

  it('takes nothing back of a version that was promoted a second time since', async () => {
    await register('twice');
    await register('twice');
    await promote('twice', 1);
    await promote('twice', 2, 'first-time');
    await rollBack('twice');
    await records.db.query(`UPDATE model_versions SET stage = 'Staging' WHERE model_name = 'twice' AND version = 2`);
    await promote('twice', 2, 'second-time');
    const late = registry.revertPromotion({ idempotencyKey: 'first-time', by: tester, reason: 'late guard' });
    await expect(late).rejects.toMatchObject({ code: 'conflict' });
    expect((await registry.production('twice'))?.version).toBe(2);
  });

  it('leaves a history that Postgres itself lets nobody change', async () => {
    for (const change of ['UPDATE promotions SET reason = $$x$$', 'DELETE FROM promotions', 'TRUNCATE promotions']) {
      await expect(records.db.query(change)).rejects.toThrow(/append-only/);
    }
  });
});
