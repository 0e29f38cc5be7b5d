import { randomUUID } from 'node:crypto';
import { generationChannel } from '../../../../contracts/names.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';
import { createNotificationStore } from '../../../../stores/notifications/notifications.js';
import type { Database } from '../../../../stores/postgres/database.js';
import type { ProductionMove } from '../../../../stores/promotion/promotions.js';
import { createRegistryStore, type RegistryStore } from '../../../../stores/registry/registry.js';
import { decisionOf, evaluationOf, tester, unfenced } from '../../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';
import { messagesOf } from '../../../support/registry-records.js';
import { textMatching } from '../../../support/text-matching.js';

let records: TestDatabase;
let registry: RegistryStore;
beforeAll(async () => {
  records = await startTestDatabase();
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
    semanticVersion: nextSemanticVersion,
  });
}

function promote(modelName: string, version: number, idempotencyKey: string = randomUUID()): Promise<ProductionMove> {
  return registry.promote({ modelName, version, reason: 'better', idempotencyKey, ...unfenced });
}

describe('promoting', () => {
  it('moves Production in one transaction and archives the previous version', async () => {
    await register('moved');
    await register('moved');
    expect(await registry.servingState('moved')).toEqual({ generation: 0, version: null, retirement: null });
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

  it('by twenty at once leaves one version in Production and one generation for each', async () => {
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

  it('is promotable for a request whose key promotes it while its state is read', async () => {
    await register('overtaken');
    let isFirst = true;
    const racing: Database = {
      ...records.db,
      async row(schema, sql, parameters) {
        const found = await records.db.row(schema, sql, parameters);
        if (isFirst) {
          isFirst = false;
          await promote('overtaken', 1, 'overtaken-1');
        }
        return found;
      },
    };
    const request = { modelName: 'overtaken', version: 1, idempotencyKey: 'overtaken-1' };
    await createRegistryStore(racing).requirePromotable(request);
    await expect(registry.requirePromotable({ ...request, idempotencyKey: 'overtaken-2' })).rejects.toThrow(
      'in Production',
    );
  });

  it('is refused for a bundle that was never checked, until a validation has loaded it', async () => {
    await register('unchecked');
    await records.db.query(`UPDATE model_versions SET verified_at = NULL WHERE model_name = 'unchecked'`);
    await expect(promote('unchecked', 1)).rejects.toMatchObject({
      code: 'conflict',
      message: textMatching(/not verified.*validate/),
    });
    await registry.recordDecision('unchecked', 1, decisionOf('promote'));
    await expect(promote('unchecked', 1)).rejects.toMatchObject({ code: 'conflict' });
    const reasons = [{ check: 'smoke_test' as const, passed: true, detail: 'It answers.' }];
    await registry.recordDecision('unchecked', 1, { ...decisionOf('promote'), reasons });
    expect(await promote('unchecked', 1)).toMatchObject({ generation: 1 });
  });

  it('can be rolled back once: the previous version is served again under a new generation', async () => {
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

  it('of the first version, rolled back, leaves no version to serve', async () => {
    await register('lonely');
    await promote('lonely', 1, 'lonely-move');
    await registry.revertPromotion({ idempotencyKey: 'lonely-move', by: tester, reason: 'broken' });
    expect(await registry.servingState('lonely')).toEqual({ generation: 2, version: null, retirement: null });
  });

  it('that was followed by another cannot be rolled back', async () => {
    await register('followed');
    await register('followed');
    await promote('followed', 1, 'followed-1');
    await promote('followed', 2);
    const late = registry.revertPromotion({ idempotencyKey: 'followed-1', by: tester, reason: 'late' });
    await expect(late).rejects.toMatchObject({ code: 'conflict' });
    expect((await registry.production('followed'))?.version).toBe(2);
  });

  it('cannot be bypassed: Postgres refuses a second version in Production', async () => {
    await register('held');
    await register('held');
    await promote('held', 1);
    const second = records.db.query(
      `UPDATE model_versions SET stage = 'Production' WHERE model_name = 'held' AND version = 2`,
    );
    await expect(second).rejects.toThrow(/model_versions_one_production/);
  });

  it('notifies listening replicas, and adds a notification to send', async () => {
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

describe('a promotion that was decided on an older Production', () => {
  it('is refused, names the version served now, and changes nothing', async () => {
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
      message: textMatching(/version 1 \(generation 1 in place of 0\)/),
    });
    expect((await registry.servingState('fenced')).generation).toBe(1);
  });

  it('succeeds for one of fifty that were decided on the same generation', async () => {
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
    expect(await messagesOf(records.db, 'raced')).toEqual(['model.promotion']);
  });
});
