import { randomUUID } from 'node:crypto';
import { generationChannel } from '../../../contracts/names.js';
import { createNotificationStore } from '../../../stores/notifications.js';
import type { Move } from '../../../stores/promotions.js';
import { createRegistryStore, type RegistryStore } from '../../../stores/registry.js';
import type { ModelVersion } from '../../../contracts/registry.js';
import { decisionOf, evaluationOf, tester, unfenced } from '../../support/figures.js';
import { startRecords, type TestRecords } from '../../support/records.js';

let records: TestRecords;
let registry: RegistryStore;
beforeAll(async () => {
  records = await startRecords();
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
  });
}

function promote(modelName: string, version: number, idempotencyKey: string = randomUUID()): Promise<Move> {
  return registry.promote({ modelName, version, reason: 'better', idempotencyKey, ...unfenced });
}

describe('registering', () => {
  it('counts versions per model, also when many register at once', async () => {
    const versions = await Promise.all(Array.from({ length: 10 }, () => register('counted')));
    expect(versions.map(({ version }) => version).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect((await register('other')).version).toBe(1);
  });

  it('gives a run that is registered already the version it has', async () => {
    const runId = randomUUID();
    const both = await Promise.all([register('once', runId), register('once', runId)]);
    expect(both[0]).toEqual(both[1]);
    expect((await registry.list('once', { limit: 10 })).items).toHaveLength(1);
  });

  it('puts a version in Staging and gives everything back', async () => {
    const registered = await register('whole');
    expect(registered).toMatchObject({
      stage: 'Staging',
      labels: ['a', 'b'],
      sizeBytes: 5_000_000_000,
      decision: null,
    });
    await registry.recordDecision('whole', 1, decisionOf('refuse'));
    expect(await registry.get('whole', 1)).toEqual({
      ...registered,
      decision: decisionOf('refuse'),
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
    expect((await registry.history('moved')).map(({ version, formerVersion }) => [version, formerVersion])).toEqual([
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
    expect(await registry.history('keyed')).toHaveLength(1);
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
    expect((await registry.history('reverted'))[0]).toMatchObject({ kind: 'rollback', version: 2, formerVersion: 1 });
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

describe('replicas', () => {
  it('are alive as long as they report', async () => {
    const idle = { error: null, errorCode: null };
    const failed = { error: 'a byte differs', errorCode: 'bundle_invalid' };
    const report = { replicaId: 'r1', url: 'http://a', modelName: 'rose', generation: 3, version: 2, ...idle };
    await registry.reportReplica(report);
    await registry.reportReplica({ ...report, generation: 4, ...failed });
    expect(await registry.liveReplicas('rose', 10_000)).toMatchObject([{ ...report, generation: 4, ...failed }]);
    await records.db.query(`UPDATE replicas SET seen_at = now() - interval '1 minute'`);
    expect(await registry.liveReplicas('rose', 10_000)).toEqual([]);
  });

  it('are forgotten when they leave', async () => {
    const report = { url: 'http://a', modelName: 'tulip', generation: 3, version: 2, error: null, errorCode: null };
    await registry.reportReplica({ ...report, replicaId: 'stays' });
    await registry.reportReplica({ ...report, replicaId: 'leaves' });
    await registry.removeReplica('leaves');
    expect(await registry.liveReplicas('tulip', 10_000)).toMatchObject([{ replicaId: 'stays' }]);
  });
});
