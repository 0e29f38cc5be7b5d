import { writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { checkTrainable } from '../../../domain/datasets/check-trainable.js';
import { rawImageKey, splitManifestKey, uploadKey } from '../../../stores/objects/object-keys.js';
import {
  classFolders,
  patternImage,
  startIngestionFixture,
  writeFolder,
  type IngestionFixture,
} from '../../support/ingestion-fixture.js';

describe('an ingestion', () => {
  let fixture: IngestionFixture;
  beforeAll(async () => {
    fixture = await startIngestionFixture();
  });
  afterAll(() => fixture.stop());
  afterEach(() => fixture.takeUploads());

  it('makes a version of a folder of class folders, with bytes, split, statistics and manifests', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 20, grass: 20 }));
    const result = await fixture.ingest({ kind: 'folder', path }, 'first');
    expect(result).toMatchObject({ version: 1, isNewVersion: true, files: 40, newImages: 40, quarantined: 0 });
    expect(result.statistics).toMatchObject({ classes: { dandelion: 20, grass: 20 }, formats: { jpeg: 40 } });
    expect(result.statistics.sides).toEqual({
      train: { dandelion: 14, grass: 14 },
      validation: { dandelion: 3, grass: 3 },
      test: { dandelion: 3, grass: 3 },
    });
    const uploads = fixture.takeUploads();
    expect(uploads.filter((key) => key.startsWith('raw/files/md5/') && !key.endsWith('.dir'))).toHaveLength(40);
    const manifest: unknown = JSON.parse(
      Buffer.from(await fixture.deps.objects.get(splitManifestKey('test', 'first', 1))).toString(),
    );
    expect(manifest).toMatchObject({ dataset: 'first', version: 1, side: 'test' });
    const stored = await fixture.datasets.version('first', 1);
    const listing = await fixture.deps.objects.get(rawImageKey(`${stored.dvcMd5}.dir`));
    expect(JSON.parse(Buffer.from(listing).toString())).toHaveLength(40);
  });

  it('returns the same version for the same folder, and uploads nothing', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 12, grass: 12 }, 1000));
    const first = await fixture.ingest({ kind: 'folder', path }, 'again');
    fixture.takeUploads();
    const second = await fixture.ingest({ kind: 'folder', path }, 'again');
    expect(second).toMatchObject({ version: first.version, digest: first.digest, isNewVersion: false, newImages: 0 });
    expect(second.uploadedBytes).toBe(0);
    expect(fixture.takeUploads()).toEqual([]);
  });

  it('costs ten uploads for ten new files, and moves no image to another split', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 15, grass: 15 }, 2000));
    await fixture.ingest({ kind: 'folder', path }, 'growing');
    const before = await fixture.datasets.examples('growing', 1);
    fixture.takeUploads();
    const more = Object.entries(await classFolders({ dandelion: 5, grass: 5 }, 3000));
    writeFolder(path, Object.fromEntries(more.map(([name, bytes]) => [name.replace('/', '/new-'), bytes])));
    const grown = await fixture.ingest({ kind: 'folder', path }, 'growing');
    expect(grown).toMatchObject({ version: 2, isNewVersion: true, newImages: 10, files: 40 });
    expect(fixture.takeUploads().filter((key) => key.startsWith('raw/') && !key.endsWith('.dir'))).toHaveLength(10);
    expect(await fixture.datasets.examples('growing', 2)).toEqual(expect.arrayContaining(before));
  });

  it('returns the previous version when the added files are removed again', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 11, grass: 11 }, 4000));
    const first = await fixture.ingest({ kind: 'folder', path }, 'back');
    writeFolder(path, { 'grass/extra.jpg': await patternImage(4999) });
    expect((await fixture.ingest({ kind: 'folder', path }, 'back')).version).toBe(2);
    rmSync(join(path, 'grass/extra.jpg'));
    expect(await fixture.ingest({ kind: 'folder', path }, 'back')).toMatchObject({ version: 1, digest: first.digest });
    expect((await fixture.datasets.latestVersion('back'))?.version).toBe(1);
  });

  it('combines the sources of a dataset and replaces only the members of the scanned one', async () => {
    const one = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 5000));
    const two = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 5100));
    await fixture.ingest({ kind: 'folder', path: one }, 'union');
    expect((await fixture.ingest({ kind: 'folder', path: two }, 'union')).statistics.images).toBe(40);
    rmSync(join(two, 'grass/0.jpg'));
    expect((await fixture.ingest({ kind: 'folder', path: two }, 'union')).statistics.images).toBe(39);
    expect(await fixture.datasets.rescanTargets('union')).toEqual([
      { kind: 'folder', path: one },
      { kind: 'folder', path: two },
    ]);
  });

  it('keeps exact duplicates once and excludes bytes that appear under two labels', async () => {
    const files = await classFolders({ dandelion: 10, grass: 10 }, 6000);
    const twice = await patternImage(6900);
    const torn = await patternImage(6901);
    const path = fixture.folder({
      ...files,
      'grass/copy-1.jpg': twice,
      'grass/copy-2.jpg': twice,
      'grass/torn.jpg': torn,
      'dandelion/torn.jpg': torn,
    });
    const result = await fixture.ingest({ kind: 'folder', path }, 'doubtful');
    expect(result).toMatchObject({ files: 24, newImages: 22, duplicates: 1, conflicts: 1 });
    expect(result.statistics.images).toBe(21);
    const detail = await fixture.datasets.versionDetail('doubtful', 1);
    expect(detail.conflicts).toMatchObject([
      {
        labels: ['dandelion', 'grass'],
        paths: [`${path}/dandelion/torn.jpg`, `${path}/grass/torn.jpg`],
      },
    ]);
  });

  it('ingests an upload under its label, then deletes the originals and refuses a repetition', async () => {
    const uploadId = await fixture.deps.uploads.createUpload({ dataset: 'sent', label: 'clover' });
    for (const position of [0, 1, 2]) {
      const bytes = await patternImage(7000 + position);
      await fixture.deps.objects.put(uploadKey(uploadId, position), bytes);
      await fixture.deps.uploads.addUploadFile(
        uploadId,
        position,
        'same name.jpg',
        uploadKey(uploadId, position),
        bytes.length,
      );
    }
    const result = await fixture.ingest({ kind: 'upload', uploadId }, 'sent');
    expect(result.statistics.classes).toEqual({ clover: 3 });
    await fixture.activities.discardUpload({ uploadId });
    expect(await fixture.deps.objects.head(uploadKey(uploadId, 0))).toBeNull();
    await expect(fixture.ingest({ kind: 'upload', uploadId }, 'sent')).rejects.toMatchObject({ code: 'conflict' });
    expect(await fixture.datasets.rescanTargets('sent')).toEqual([]);
  });

  it('continues after an interrupted batch, without uploading settled files again', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 20, grass: 20 }, 8000));
    const ingestionId = randomUUID();
    await fixture.activities.resolveSource({ ingestionId, dataset: 'cut', source: { kind: 'folder', path } });
    await fixture.activities.scanSource({ ingestionId });
    expect((await fixture.activities.ingestBatch({ ingestionId, limit: 15 })).pending).toBe(25);
    expect(fixture.takeUploads()).toHaveLength(15);
    expect((await fixture.activities.ingestBatch({ ingestionId, limit: 100 })).pending).toBe(0);
    expect(fixture.takeUploads()).toHaveLength(25);
    const first = await fixture.activities.commitDatasetVersion({ ingestionId });
    const repeated = await fixture.activities.commitDatasetVersion({ ingestionId });
    expect(repeated).toEqual(first);
  });

  it('makes one version of two ingestions of the same folder at the same time', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 9000));
    const results = await Promise.all([1, 2, 3].map(() => fixture.ingest({ kind: 'folder', path }, 'racing')));
    expect(new Set(results.map(({ digest }) => digest)).size).toBe(1);
    expect(results.filter(({ isNewVersion }) => isNewVersion)).toHaveLength(1);
  });

  it('writes the manifests later when the object store was unavailable after the commit', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 9500));
    const ingestionId = randomUUID();
    await fixture.activities.resolveSource({ ingestionId, dataset: 'late', source: { kind: 'folder', path } });
    await fixture.activities.scanSource({ ingestionId });
    await fixture.activities.ingestBatch({ ingestionId, limit: 100 });
    await fixture.objectServer.pause();
    await expect(fixture.activities.commitDatasetVersion({ ingestionId })).rejects.toMatchObject({
      code: 'object_store_unavailable',
    });
    await fixture.objectServer.resume();
    expect(await fixture.activities.commitDatasetVersion({ ingestionId })).toMatchObject({
      version: 1,
      isNewVersion: true,
    });
    expect(await fixture.deps.objects.head(splitManifestKey('train', 'late', 1))).not.toBeNull();
  });

  it('replaces the synthetic set by the public photographs as default source', async () => {
    const none = await startIngestionFixture({ PUBLIC_DATASET_URL: 'http://127.0.0.1:9/nothing' });
    try {
      const synthetic = await none.ingest({ kind: 'default' });
      expect(synthetic.statistics.classes).toEqual({ dandelion: 60, grass: 60 });
      expect(synthetic.note).toMatch(/synthetic/);
      expect(checkTrainable(synthetic.statistics)).toBeNull();
      const path = none.folder(await classFolders({ dandelion: 10, grass: 10 }));
      Object.assign(none.deps.config, { DATASET_DIR: path });
      const real = await none.ingest({ kind: 'default' });
      expect(real.statistics.images).toBe(20);
      expect(await none.datasets.rescanTargets('flowers')).toEqual([{ kind: 'folder', path }]);
    } finally {
      await none.stop();
    }
  });

  it('keeps the version of a folder that is later empty, and fails with the reason', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 10, grass: 10 }, 9700));
    await fixture.ingest({ kind: 'folder', path }, 'emptied');
    rmSync(join(path, 'grass'), { recursive: true });
    rmSync(join(path, 'dandelion'), { recursive: true });
    await expect(fixture.ingest({ kind: 'folder', path }, 'emptied')).rejects.toMatchObject({ code: 'source_empty' });
    writeFileSync(join(path, 'notes.txt'), 'nothing here');
    await expect(fixture.ingest({ kind: 'folder', path }, 'emptied')).rejects.toThrow(/1 bad_label/);
    expect((await fixture.datasets.latestVersion('emptied'))?.statistics.images).toBe(20);
  });
});
