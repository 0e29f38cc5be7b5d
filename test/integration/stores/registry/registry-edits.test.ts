import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { createRegistryStore, type RegistryStore } from '../../../../stores/registry/registry.js';
import type { NewVersion } from '../../../../stores/registry/new-version.js';
import { unfenced } from '../../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';
import { curator, newVersionOf } from '../../../support/registry-records.js';

let records: TestDatabase;
let registry: RegistryStore;
beforeAll(async () => {
  records = await startTestDatabase();
  registry = createRegistryStore(records.db);
});
afterAll(() => records.stop());

const register = (modelName: string, given: Partial<NewVersion> = {}): Promise<ModelVersion> =>
  registry.register(newVersionOf(modelName, given));
const any = { by: curator, ifRevision: null };

async function auditOf(subject: string): Promise<string[]> {
  const { items } = await createAuditStore(records.db).list({ limit: 50, subject });
  return items.map(({ action }) => action).reverse();
}

describe('semantic versions', () => {
  it('are assigned by the rule as versions are registered', async () => {
    const rule = { semanticVersion: nextSemanticVersion };
    const given = [{}, {}, { datasetDigest: 'e' }, { datasetDigest: 'e' }, { labels: ['a', 'b'], datasetDigest: 'e' }];
    const versions: string[] = [];
    for (const each of given) versions.push((await register('ruled', { ...each, ...rule })).semanticVersion);
    expect(versions).toEqual(['1.0.0', '1.0.1', '1.1.0', '1.1.1', '2.0.0']);
  });

  it('stay within the major version when trainings and imports of the same classes alternate', async () => {
    const rule = { semanticVersion: nextSemanticVersion };
    const networks = ['efficientnet-lite0', 'external', 'efficientnet-lite0', 'external', 'external'] as const;
    const versions: string[] = [];
    for (const architecture of networks) {
      versions.push((await register('alternating', { architecture, ...rule })).semanticVersion);
    }
    expect(versions).toEqual(['1.0.0', '1.1.0', '1.2.0', '1.3.0', '1.4.0']);
  });

  it('continue from the greatest one, also when it was set manually', async () => {
    await register('handed', { semanticVersion: '10.2.0' });
    await register('handed', { semanticVersion: '9.9.9' });
    expect((await register('handed', { semanticVersion: nextSemanticVersion })).semanticVersion).toBe('10.2.1');
    expect((await register('handed')).semanticVersion).toBe('10.2.2');
  });

  it('do not depend on what is in Production, and count deleted versions', async () => {
    const rule = { semanticVersion: nextSemanticVersion };
    const promote = (version: number): Promise<unknown> =>
      registry.promote({ modelName: 'moved', version, reason: 'x', idempotencyKey: randomUUID(), ...unfenced });
    await register('moved', rule);
    await register('moved', { ...rule, datasetDigest: 'e' });
    await promote(1);
    await promote(2);
    const back = { modelName: 'moved', version: null, by: curator, reason: 'worse', idempotencyKey: randomUUID() };
    await registry.rollBack(back);
    expect((await register('moved', { ...rule, datasetDigest: 'e' })).semanticVersion).toBe('1.1.1');
    await registry.markDeleted('moved', 3, { by: curator, reason: 'x', ifRevision: null });
    expect((await register('moved', { ...rule, datasetDigest: 'e' })).semanticVersion).toBe('1.1.2');
    await registry.retire({ ...back, idempotencyKey: randomUUID(), expectedGeneration: null });
    expect((await register('moved', { ...rule, labels: ['a', 'c'] })).semanticVersion).toBe('2.0.0');
  });

  it('are used once: a second registration or edit with one is a conflict that names its holder', async () => {
    await register('single', { semanticVersion: '3.0.0' });
    const again = register('single', { semanticVersion: '3.0.0' });
    await expect(again).rejects.toThrow(/Version 1 of single is 3.0.0 already/);
    await register('single');
    const edit = registry.edit('single', 2, { semanticVersion: '3.0.0' }, any);
    await expect(edit).rejects.toMatchObject({ code: 'conflict' });
    expect((await registry.get('single', 2)).semanticVersion).toBe('3.0.1');
  });

  it('stay different when twenty register at once', async () => {
    const rule = { semanticVersion: nextSemanticVersion };
    const versions = await Promise.all(Array.from({ length: 20 }, () => register('rushed', rule)));
    expect(new Set(versions.map(({ semanticVersion }) => semanticVersion)).size).toBe(20);
  });
});

describe('editing', () => {
  it('changes the given fields, removes tags that are null, and leaves the rest', async () => {
    await register('edited', { description: 'first', tags: { camera: 'phone', season: 'spring' } });
    const edited = await registry.edit('edited', 1, { tags: { season: null, place: 'Bern' } }, any);
    expect(edited).toMatchObject({ description: 'first', tags: { camera: 'phone', place: 'Bern' }, revision: 2 });
    expect(await auditOf('models/edited/versions/1')).toEqual(['version.register', 'version.edit']);
  });

  it('that changes nothing leaves no audit entry', async () => {
    const registered = await register('same', { description: 'as it is' });
    expect(await registry.edit('same', 1, { description: 'as it is' }, any)).toEqual(registered);
    expect(await auditOf('models/same/versions/1')).toEqual(['version.register']);
  });

  it('by two at once for the same revision is done once', async () => {
    const { revision } = await register('contested');
    const edits = ['mine', 'yours'].map((description) =>
      registry.edit('contested', 1, { description }, { by: curator, ifRevision: [revision] }),
    );
    const outcomes = await Promise.allSettled(edits);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'precondition_failed' },
    });
    expect(await auditOf('models/contested/versions/1')).toEqual(['version.register', 'version.edit']);
  });

  it('sees a promotion as a change', async () => {
    const { revision } = await register('promoted');
    await records.db.query(`UPDATE model_versions SET stage = 'Production' WHERE model_name = 'promoted'`);
    const late = registry.edit('promoted', 1, { description: 'x' }, { by: curator, ifRevision: [revision] });
    await expect(late).rejects.toMatchObject({ code: 'precondition_failed' });
  });
});

describe('stages', () => {
  it('move between stages that are not served, with a permanent row', async () => {
    await register('staged');
    await registry.setStage('staged', 1, { stage: 'Archived', reason: 'worse' }, any);
    const back = await registry.setStage('staged', 1, { stage: 'Staging', reason: 'it was not' }, any);
    expect(back.stage).toBe('Staging');
    await registry.setStage('staged', 1, { stage: 'Staging', reason: 'again' }, any);
    const rows = await records.db.rows(
      z.object({ formerStage: z.string(), stage: z.string(), actor: z.string(), reason: z.string() }),
      `SELECT * FROM stage_changes WHERE model_name = 'staged' ORDER BY id`,
    );
    expect(rows).toEqual([
      { formerStage: 'Staging', stage: 'Archived', actor: 'curator', reason: 'worse' },
      { formerStage: 'Archived', stage: 'Staging', actor: 'curator', reason: 'it was not' },
    ]);
    expect(await auditOf('models/staged/versions/1')).toEqual(['version.register', 'version.stage', 'version.stage']);
    const change = records.db.query(`DELETE FROM stage_changes WHERE model_name = 'staged'`);
    await expect(change).rejects.toThrow(/append-only/);
  });

  it('cannot move a version out of Production', async () => {
    await register('serving');
    await records.db.query(`UPDATE model_versions SET stage = 'Production' WHERE model_name = 'serving'`);
    const away = registry.setStage('serving', 1, { stage: 'Archived', reason: 'old' }, any);
    await expect(away).rejects.toThrow(/in Production.*roll back/);
    expect((await registry.get('serving', 1)).stage).toBe('Production');
  });
});

describe('aliases', () => {
  it('point at a version, move, and go', async () => {
    await register('named');
    await register('named');
    await registry.setAlias('named', 'champion', 1, curator);
    await registry.setAlias('named', 'champion', 2, curator);
    expect((await registry.resolve('named', '@champion')).version).toBe(2);
    expect(await registry.aliases('named')).toMatchObject([
      { alias: 'champion', version: 2 },
      { alias: 'latest', version: 2, changedAt: null },
    ]);
    await registry.deleteAlias('named', 'champion', curator);
    await expect(registry.resolve('named', '@champion')).rejects.toMatchObject({ code: 'not_found' });
    await expect(registry.deleteAlias('named', 'champion', curator)).rejects.toMatchObject({ code: 'not_found' });
    expect(await auditOf('models/named/aliases/champion')).toEqual(['alias.set', 'alias.set', 'alias.delete']);
  });

  it('set by twenty at once end at one version, with a chain of audit rows that has no gap', async () => {
    await Promise.all(Array.from({ length: 20 }, () => register('raced')));
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => registry.setAlias('raced', 'champion', index + 1, curator)),
    );
    const { version } = await registry.resolve('raced', '@champion');
    const { items } = await createAuditStore(records.db).list({ limit: 50, subject: 'models/raced/aliases/champion' });
    const steps = items.reverse().map(({ before, after }) => ({ before, after }));
    expect(steps).toHaveLength(20);
    expect(steps[0]?.before).toBeNull();
    expect(steps.slice(1).map(({ before }) => before)).toEqual(steps.slice(0, -1).map(({ after }) => after));
    expect(steps.at(-1)?.after).toEqual({ version });
  });

  it('of Production and of the latest version follow the database', async () => {
    await register('followed');
    await expect(registry.resolve('followed', '@production')).rejects.toMatchObject({ code: 'not_found' });
    await records.db.query(`UPDATE model_versions SET stage = 'Production' WHERE model_name = 'followed'`);
    await register('followed');
    expect((await registry.resolve('followed', '@production')).version).toBe(1);
    expect((await registry.resolve('followed', '@latest')).version).toBe(2);
    expect(await registry.aliases('followed')).toMatchObject([
      { alias: 'latest', version: 2 },
      { alias: 'production', version: 1 },
    ]);
  });

  it('need an existing model and version', async () => {
    await register('sparse');
    await expect(registry.setAlias('sparse', 'x', 2, curator)).rejects.toMatchObject({ code: 'not_found' });
    await expect(registry.setAlias('nobody', 'x', 1, curator)).rejects.toMatchObject({ code: 'not_found' });
    await expect(registry.aliases('nobody')).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('lists', () => {
  it('find versions by stage, by tag, and by tag and value', async () => {
    await register('found', { tags: { season: 'spring' } });
    await register('found', { tags: { season: 'autumn' } });
    await register('found');
    await registry.setStage('found', 1, { stage: 'Archived', reason: 'old' }, any);
    const numbers = async (query: Parameters<RegistryStore['list']>[1]): Promise<number[]> =>
      (await registry.list('found', query)).items.map(({ version }) => version);
    expect(await numbers({ limit: 10, stage: 'Staging' })).toEqual([3, 2]);
    expect(await numbers({ limit: 10, tag: { key: 'season', value: null } })).toEqual([2, 1]);
    expect(await numbers({ limit: 10, tag: { key: 'season', value: 'spring' } })).toEqual([1]);
  });
});
