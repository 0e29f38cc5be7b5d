import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createIngestionActivities } from '../../../activities/ingestion/activities.js';
import type { IngestionResult } from '../../../contracts/datasets/ingestion.js';
import {
  classFolders,
  patternImage,
  startIngestionFixture,
  writeFolder,
  type IngestionFixture,
} from '../../support/ingestion-fixture.js';

let fixture: IngestionFixture;
beforeAll(async () => {
  fixture = await startIngestionFixture({ PUBLIC_DATASET_URL: 'http://127.0.0.1:9/nothing' });
});
afterAll(() => fixture.stop());

/** Begins an ingestion of a folder and lists its files. */
async function scan(path: string, dataset: string): Promise<string> {
  const ingestionId = randomUUID();
  await fixture.activities.resolveSource({ ingestionId, dataset, source: { kind: 'folder', path } });
  await fixture.activities.scanSource({ ingestionId });
  return ingestionId;
}

async function finish(ingestionId: string): Promise<IngestionResult> {
  await fixture.activities.ingestBatch({ ingestionId, limit: 100 });
  return fixture.activities.commitDatasetVersion({ ingestionId });
}

describe('an ingestion that another one of the same source overtook', () => {
  it('reverts nothing, and returns the current version', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }));
    await fixture.ingest({ kind: 'folder', path }, 'overtaken');
    const older = await scan(path, 'overtaken');
    writeFolder(path, { 'grass/added.jpg': await patternImage(900) });
    const newer = await fixture.ingest({ kind: 'folder', path }, 'overtaken');
    expect(newer).toMatchObject({ version: 2, isNewVersion: true });
    const late = await finish(older);
    expect(late).toMatchObject({ version: 2, isNewVersion: false, files: 20, statistics: { images: 21 } });
    expect(await fixture.activities.commitDatasetVersion({ ingestionId: older })).toEqual(late);
    expect((await fixture.datasets.latestVersion('overtaken'))?.version).toBe(2);
    expect(await fixture.datasets.examples('overtaken', 2)).toHaveLength(21);
  });

  it('still counts when its scan started later, whichever was opened first', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 1000));
    const first = randomUUID();
    await fixture.activities.resolveSource({ ingestionId: first, dataset: 'later', source: { kind: 'folder', path } });
    expect((await fixture.ingest({ kind: 'folder', path }, 'later')).version).toBe(1);
    writeFolder(path, { 'grass/added.jpg': await patternImage(1900) });
    await fixture.activities.scanSource({ ingestionId: first });
    expect(await finish(first)).toMatchObject({ version: 2, statistics: { images: 21 } });
  });

  it('does not make a previous default the default again', async () => {
    const [former, present] = [
      fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 2000)),
      fixture.folder(await classFolders({ dandelion: 10, grass: 11 }, 3000)),
    ];
    Object.assign(fixture.deps.config, { DATASET_DIR: former });
    const older = randomUUID();
    const source = { kind: 'default' } as const;
    await fixture.activities.resolveSource({ ingestionId: older, dataset: 'default', source });
    await fixture.activities.scanSource({ ingestionId: older });
    Object.assign(fixture.deps.config, { DATASET_DIR: present });
    await fixture.ingest(source, 'default');
    expect((await finish(older)).statistics.images).toBe(21);
    expect(await fixture.datasets.rescanTargets('default')).toEqual([{ kind: 'folder', path: present }]);
  });
});

describe('an attempt that another one overtook', () => {
  it('deletes no settled files and adds none, neither as an activity nor in the database', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 4000));
    const ingestionId = await scan(path, 'attempts');
    const second = new MockActivityEnvironment({ attempt: 2 });
    await second.run(createIngestionActivities(fixture.deps).scanSource, { ingestionId });
    await fixture.activities.ingestBatch({ ingestionId, limit: 100 });
    const stale = { code: 'stale_attempt' };
    await expect(fixture.deps.ingestions.restartScan(ingestionId, 1)).rejects.toMatchObject(stale);
    const files = [{ path: 'grass/late.jpg', label: 'grass' }];
    await expect(fixture.deps.ingestions.addFiles(ingestionId, 1, files)).rejects.toMatchObject(stale);
    expect(await fixture.deps.ingestions.counts(ingestionId)).toMatchObject({ pending: 0, accepted: 20 });
    expect(await fixture.activities.commitDatasetVersion({ ingestionId })).toMatchObject({ version: 1, files: 20 });
    await expect(fixture.deps.ingestions.restartScan(ingestionId, 3)).rejects.toMatchObject(stale);
  });

  it('does not change the resolved source', async () => {
    const path = fixture.folder(await classFolders({ grass: 1 }, 5000));
    const ingestionId = randomUUID();
    const resolve = (folder: string): Promise<unknown> =>
      fixture.activities.resolveSource({ ingestionId, dataset: 'agreed', source: { kind: 'folder', path: folder } });
    const agreed = await resolve(path);
    expect(await resolve(join(path, 'grass'))).toEqual(agreed);
    expect(await fixture.deps.ingestions.get(ingestionId)).toMatchObject({ locator: path });
  });
});

describe('an ingestion with pending files', () => {
  it('is not committed', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 6000));
    const ingestionId = await scan(path, 'half');
    await fixture.activities.ingestBatch({ ingestionId, limit: 15 });
    const commit = fixture.activities.commitDatasetVersion({ ingestionId });
    await expect(commit).rejects.toMatchObject({ code: 'conflict' });
    expect(await fixture.datasets.latestVersion('half')).toBeNull();
  });
});
