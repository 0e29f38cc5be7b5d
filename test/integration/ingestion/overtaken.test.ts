import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createIngestionActivities } from '../../../activities/ingestion/activities.js';
import type { IngestionResult } from '../../../contracts/datasets/ingestion.js';
import {
  classFolders,
  picture,
  startIngestionWorld,
  writeFolder,
  type IngestionWorld,
} from '../../support/ingestion-world.js';

let world: IngestionWorld;
beforeAll(async () => {
  world = await startIngestionWorld({ PUBLIC_DATASET_URL: 'http://127.0.0.1:9/nothing' });
});
afterAll(() => world.stop());

/** Begins an ingestion of a folder and lists its files. */
async function scan(path: string, dataset: string): Promise<string> {
  const ingestionId = randomUUID();
  await world.activities.resolveSource({ ingestionId, dataset, source: { kind: 'folder', path } });
  await world.activities.scanSource({ ingestionId });
  return ingestionId;
}

async function finish(ingestionId: string): Promise<IngestionResult> {
  await world.activities.ingestBatch({ ingestionId, limit: 100 });
  return world.activities.commitDatasetVersion({ ingestionId });
}

describe('an ingestion that another one of the same source overtook', () => {
  it('takes nothing back, and gives the version there is', async () => {
    const path = world.folder(await classFolders({ dandelion: 10, grass: 10 }));
    await world.ingest({ kind: 'folder', path }, 'overtaken');
    const older = await scan(path, 'overtaken');
    writeFolder(path, { 'grass/added.jpg': await picture(900) });
    const newer = await world.ingest({ kind: 'folder', path }, 'overtaken');
    expect(newer).toMatchObject({ version: 2, isNewVersion: true });
    const late = await finish(older);
    expect(late).toMatchObject({ version: 2, isNewVersion: false, files: 20, statistics: { images: 21 } });
    expect(await world.activities.commitDatasetVersion({ ingestionId: older })).toEqual(late);
    expect((await world.datasets.latestVersion('overtaken'))?.version).toBe(2);
    expect(await world.datasets.examples('overtaken', 2)).toHaveLength(21);
  });

  it('still counts when its scan began later, whichever was opened first', async () => {
    const path = world.folder(await classFolders({ dandelion: 10, grass: 10 }, 1000));
    const first = randomUUID();
    await world.activities.resolveSource({ ingestionId: first, dataset: 'later', source: { kind: 'folder', path } });
    expect((await world.ingest({ kind: 'folder', path }, 'later')).version).toBe(1);
    writeFolder(path, { 'grass/added.jpg': await picture(1900) });
    await world.activities.scanSource({ ingestionId: first });
    expect(await finish(first)).toMatchObject({ version: 2, statistics: { images: 21 } });
  });

  it('does not make a former default the default again', async () => {
    const [former, present] = [
      world.folder(await classFolders({ dandelion: 10, grass: 10 }, 2000)),
      world.folder(await classFolders({ dandelion: 10, grass: 11 }, 3000)),
    ];
    Object.assign(world.deps.config, { DATASET_DIR: former });
    const older = randomUUID();
    const source = { kind: 'default' } as const;
    await world.activities.resolveSource({ ingestionId: older, dataset: 'default', source });
    await world.activities.scanSource({ ingestionId: older });
    Object.assign(world.deps.config, { DATASET_DIR: present });
    await world.ingest(source, 'default');
    expect((await finish(older)).statistics.images).toBe(21);
    expect(await world.datasets.rescanTargets('default')).toEqual([{ kind: 'folder', path: present }]);
  });
});

describe('an attempt that another one overtook', () => {
  it('wipes no settled files and adds none, in Temporal activities as in the record', async () => {
    const path = world.folder(await classFolders({ dandelion: 10, grass: 10 }, 4000));
    const ingestionId = await scan(path, 'attempts');
    const second = new MockActivityEnvironment({ attempt: 2 });
    await second.run(createIngestionActivities(world.deps).scanSource, { ingestionId });
    await world.activities.ingestBatch({ ingestionId, limit: 100 });
    const stale = { code: 'stale_attempt' };
    await expect(world.deps.ingestions.restartScan(ingestionId, 1)).rejects.toMatchObject(stale);
    const files = [{ path: 'grass/late.jpg', label: 'grass' }];
    await expect(world.deps.ingestions.addFiles(ingestionId, 1, files)).rejects.toMatchObject(stale);
    expect(await world.deps.ingestions.counts(ingestionId)).toMatchObject({ pending: 0, accepted: 20 });
    expect(await world.activities.commitDatasetVersion({ ingestionId })).toMatchObject({ version: 1, files: 20 });
    await expect(world.deps.ingestions.restartScan(ingestionId, 3)).rejects.toMatchObject(stale);
  });

  it('changes nothing about the source that was agreed on', async () => {
    const path = world.folder(await classFolders({ grass: 1 }, 5000));
    const ingestionId = randomUUID();
    const resolve = (folder: string): Promise<unknown> =>
      world.activities.resolveSource({ ingestionId, dataset: 'agreed', source: { kind: 'folder', path: folder } });
    const agreed = await resolve(path);
    expect(await resolve(join(path, 'grass'))).toEqual(agreed);
    expect(await world.deps.ingestions.get(ingestionId)).toMatchObject({ locator: path });
  });
});

describe('an ingestion with files that were not looked at', () => {
  it('is not committed', async () => {
    const path = world.folder(await classFolders({ dandelion: 10, grass: 10 }, 6000));
    const ingestionId = await scan(path, 'half');
    await world.activities.ingestBatch({ ingestionId, limit: 15 });
    const commit = world.activities.commitDatasetVersion({ ingestionId });
    await expect(commit).rejects.toMatchObject({ code: 'conflict' });
    expect(await world.datasets.latestVersion('half')).toBeNull();
  });
});
