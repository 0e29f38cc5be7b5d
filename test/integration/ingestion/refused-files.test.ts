import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { createRefusalStore } from '../../../stores/datasets/refusals.js';
import { classifyKey } from '../../../stores/storage/object-kinds.js';
import { createObjectReferences } from '../../../stores/storage/object-references.js';
import { uploadKey } from '../../../stores/objects/object-keys.js';
import { zipOf } from '../../support/archives.js';
import {
  classFolders,
  patternImage,
  startIngestionFixture,
  writeFolder,
  type IngestionFixture,
} from '../../support/ingestion-fixture.js';

let fixture: IngestionFixture;
beforeAll(async () => {
  fixture = await startIngestionFixture();
});
afterAll(() => fixture.stop());

const page = { limit: 50 };

/** A file whose path is bytes that are no UTF-8. */
function writeBytes(root: string, folder: Buffer, name: Buffer, content: Uint8Array): void {
  const path = Buffer.concat([Buffer.from(`${root}/`), folder]);
  mkdirSync(path, { recursive: true });
  writeFileSync(Buffer.concat([path, Buffer.from('/'), name]), content);
}

describe('what file systems and programs leave', () => {
  it('is skipped and counted by kind, in the run and in the version', async () => {
    const image = await patternImage(30_900);
    const path = fixture.folder({
      ...(await classFolders({ grass: 3, moss: 3 }, 30_000)),
      'grass/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg': image,
      'grass/.ipynb_checkpoints/0-checkpoint.jpg': image,
      'moss/Thumbs.db': 'x',
      'moss/0.jpg.part': 'x',
      'moss/0.jpg~': 'x',
      '#recycle/old.jpg': image,
      '$RECYCLE.BIN/S-1-5/old.jpg': image,
      '.Trash-1000/files/old.jpg': image,
      '@Recycle/old.jpg': image,
      'lost+found/1': image,
      'System Volume Information/x': 'x',
      '.DS_Store': 'x',
      'desktop.ini': 'x',
      '__MACOSX/grass/._0.jpg': 'x',
      '.AppleDouble/0.jpg': 'x',
      'grass/._1.jpg': 'x',
      '.git/objects/ab': 'x',
      'grass/.hidden.jpg': image,
    });
    const result = await fixture.ingest({ kind: 'folder', path }, 'cluttered');
    const skipped = { thumbnails: 2, trash: 4, system: 4, resource_forks: 3, checkpoints: 1, temporary: 2, hidden: 2 };
    expect(result.statistics.classes).toEqual({ grass: 3, moss: 3 });
    expect(result).toMatchObject({ files: 24, quarantined: 0, counts: { taken: 6, known: 0, skipped } });
    expect((await fixture.datasets.version('cluttered', 1)).statistics.skipped).toEqual(skipped);
  });

  it('is not counted where a link led to it', async () => {
    const path = fixture.folder({ '.store/a.jpg': await patternImage(31_000) });
    symlinkSync('.store', join(path, 'moss'));
    const { files, counts } = await fixture.ingest({ kind: 'folder', path }, 'linked');
    expect({ files, skipped: counts?.skipped }).toEqual({ files: 1, skipped: {} });
  });
});

describe('the counts of an ingestion', () => {
  it('add up to its files: taken, known, quarantined, conflicts, skipped', async () => {
    const torn = await patternImage(32_900);
    const path = fixture.folder({
      ...(await classFolders({ grass: 4, moss: 4 }, 32_000)),
      'grass/copy.jpg': await patternImage(32_000),
      'grass/torn.jpg': torn,
      'moss/torn.jpg': torn,
      'moss/text.jpg': 'no image',
      'loose.jpg': torn,
      '.DS_Store': 'x',
    });
    const { files, counts } = await fixture.ingest({ kind: 'folder', path }, 'counted');
    expect(counts).toEqual({
      taken: 8,
      known: 1,
      quarantined: { unsupported_type: 1, bad_label: 1 },
      conflicts: { grass: 1, moss: 1 },
      skipped: { system: 1 },
    });
    expect(files).toBe(14);
  });
});

describe('names that are no UTF-8', () => {
  const latin1 = Buffer.from('löwenzahn', 'latin1');

  it('of files do not matter; of class folders quarantine their files, with the way out', async () => {
    const path = fixture.folder(await classFolders({ grass: 2 }, 33_000));
    writeBytes(
      path,
      Buffer.from('grass'),
      Buffer.concat([latin1, Buffer.from(' 100%.jpg')]),
      await patternImage(33_100),
    );
    writeBytes(path, latin1, Buffer.from('0.jpg'), await patternImage(33_101));
    writeBytes(path, Buffer.from('l%F6wenzahn'), Buffer.from('0.jpg'), await patternImage(33_102));
    const { files, quarantined, statistics } = await fixture.ingest({ kind: 'folder', path }, 'bytes');
    expect({ files, quarantined }).toEqual({ files: 5, quarantined: 1 });
    expect(statistics.classes).toEqual({ grass: 3, 'l%F6wenzahn': 1 });
    const detail = await fixture.datasets.versionDetail('bytes', 1);
    expect(detail.quarantined).toMatchObject([{ path: 'bytes:l%F6wenzahn/0.jpg', reason: 'bad_label' }]);
    expect(detail.quarantined[0]?.detail).toContain('löwenzahn');
  });
});

describe('labels', () => {
  it('are trimmed and NFC, refused when blank or invisible, and warned of when nearly equal', async () => {
    const names = [
      'grass',
      'grass ',
      ' grass',
      '\u00a0grass\u3000',
      'Grass',
      'gr\u200bass',
      '   ',
      '__proto__',
      'toString',
    ];
    const files: Record<string, Uint8Array> = {};
    for (const [index, name] of names.entries()) files[`${name}/a.jpg`] = await patternImage(34_000 + index);
    const { statistics, counts, warnings } = await fixture.ingest(
      { kind: 'folder', path: fixture.folder(files) },
      'spelled',
    );
    const classes = new Map([
      ['Grass', 1],
      ['__proto__', 1],
      ['grass', 4],
      ['toString', 1],
    ]);
    expect(new Map(Object.entries(statistics.classes))).toEqual(classes);
    expect(counts?.quarantined).toEqual({ bad_label: 2 });
    expect(warnings).toContainEqual(expect.stringContaining('“Grass”, “grass” have nearly the same name'));
    expect(warnings).toContainEqual(expect.stringContaining('“ grass” is read as the class “grass”'));
    const stored = await fixture.datasets.versionDetail('spelled', 1);
    expect(new Map(Object.entries(stored.statistics.classes))).toEqual(classes);
    expect(Object.entries(stored.statistics.sides.train).map(([label]) => label)).toContain('__proto__');
    expect(stored.statistics.warnings).toEqual(warnings);
    expect(stored.quarantined.map(({ detail }) => detail).join()).toMatch(/U\+200B.*/);
  });
});

describe('what an ingestion refused', () => {
  it('can be read when no version was made, and on the page of the version with the same images', async () => {
    const path = fixture.folder(await classFolders({ grass: 3, moss: 3 }, 35_000));
    const { digest } = await fixture.ingest({ kind: 'folder', path }, 'reread');
    writeFolder(path, { 'grass/broken.jpg': 'no image', 'grass/more.jpg': await patternImage(35_900) });
    writeFolder(path, { 'moss/more.jpg': await patternImage(35_900) });
    expect(await fixture.ingest({ kind: 'folder', path }, 'reread')).toMatchObject({
      version: 1,
      isNewVersion: false,
      quarantined: 1,
      conflicts: 1,
    });
    expect(await fixture.datasets.versionDetail('reread', 1)).toMatchObject({
      digest,
      statistics: { images: 6, quarantined: { unsupported_type: 1 }, conflicts: 1 },
      quarantined: [{ path: 'grass/broken.jpg', reason: 'unsupported_type' }],
    });
    const refusals = createRefusalStore(fixture.database.db);
    expect((await refusals.files('reread', page)).items).toMatchObject([
      { locator: path, path: 'grass/broken.jpg', reason: 'unsupported_type', position: null },
    ]);
    expect((await refusals.conflicts('reread', page)).items).toMatchObject([{ labels: ['grass', 'moss'] }]);

    rmSync(join(path, 'grass/broken.jpg'));
    await fixture.ingest({ kind: 'folder', path }, 'reread');
    expect((await fixture.datasets.versionDetail('reread', 1)).quarantined).toEqual([]);
  });

  it('can be read when the ingestion failed, page by page', async () => {
    const path = fixture.folder({ 'grass/a.jpg': 'no image', 'grass/b.jpg': 'no image' });
    const ingestionId = randomUUID();
    const { activities } = fixture;
    await activities.resolveSource({ ingestionId, dataset: 'hopeless', source: { kind: 'folder', path } });
    await activities.scanSource({ ingestionId });
    await activities.ingestBatch({ ingestionId, limit: 10 });
    await expect(activities.commitDatasetVersion({ ingestionId })).rejects.toThrow(/datasets\/hopeless\/quarantine/);
    await activities.abandonIngestion({ ingestionId });
    const refusals = createRefusalStore(fixture.database.db);
    const first = await refusals.files('hopeless', { limit: 1, runId: ingestionId });
    expect(first.items).toMatchObject([{ runId: ingestionId, path: 'grass/a.jpg' }]);
    const second = await refusals.files('hopeless', { limit: 1, pageToken: first.nextPageToken });
    expect(second).toMatchObject({ items: [{ path: 'grass/b.jpg' }], nextPageToken: null });
  });

  it('can be read when everything that was uploaded is refused', async () => {
    const { objects, uploads } = fixture.deps;
    const uploadId = await uploads.createUpload({ dataset: 'unusable', label: 'clover' });
    await objects.put(uploadKey(uploadId, 0), Buffer.from('no image'));
    await uploads.addUploadFile(uploadId, 0, '0.jpg', uploadKey(uploadId, 0), 8);
    const ingestionId = randomUUID();
    const { activities } = fixture;
    await activities.resolveSource({ ingestionId, dataset: 'unusable', source: { kind: 'upload', uploadId } });
    await activities.scanSource({ ingestionId });
    await activities.ingestBatch({ ingestionId, limit: 50 });
    await expect(activities.commitDatasetVersion({ ingestionId })).rejects.toMatchObject({ code: 'source_empty' });
    await activities.abandonIngestion({ ingestionId });
    await activities.abandonIngestion({ ingestionId });
    const refusals = createRefusalStore(fixture.database.db);
    expect((await refusals.files('unusable', page)).items).toMatchObject([{ locator: uploadId, position: 0 }]);
    expect(await refusals.upload('unusable', uploadId, 0)).toMatchObject({ name: '0.jpg', sizeBytes: 8 });
  });

  it('of an uploaded archive keeps its bytes, and only those', async () => {
    const { objects, uploads } = fixture.deps;
    const files = await classFolders({ grass: 3 }, 37_000);
    const archive = zipOf([
      ...Object.entries(files).map(([name, content]) => ({ name, content })),
      { name: 'grass/000000-text.jpg', content: 'no image' },
      { name: '000000-loose.jpg', content: 'no image' },
    ]);
    const uploadId = await uploads.createUpload({ dataset: 'packed', label: null });
    await objects.put(uploadKey(uploadId, 0), archive);
    await uploads.addUploadFile(uploadId, 0, 'set.zip', uploadKey(uploadId, 0), archive.length);
    await fixture.ingest({ kind: 'upload', uploadId }, 'packed');
    await fixture.ingest({ kind: 'upload', uploadId }, 'packed');
    await fixture.activities.discardUpload({ uploadId });
    const refusals = createRefusalStore(fixture.database.db);
    expect((await refusals.files('packed', page)).items).toMatchObject([
      { path: '000000-loose.jpg', reason: 'bad_label', position: null },
      { path: 'grass/000000-text.jpg', reason: 'unsupported_type', position: 1 },
    ]);
    const kept = await refusals.upload('packed', uploadId, 1);
    expect(kept).toMatchObject({ name: 'grass/000000-text.jpg', sizeBytes: 8 });
    expect(Buffer.from(await objects.get(kept?.objectKey ?? '')).toString()).toBe('no image');
    expect(await objects.head(uploadKey(uploadId, 0))).toBeNull();
  });

  it('of an upload keeps its bytes, and only those', async () => {
    const { objects, uploads } = fixture.deps;
    const uploadId = await uploads.createUpload({ dataset: 'sent', label: 'clover' });
    for (const [position, bytes] of [await patternImage(36_000), Buffer.from('no image')].entries()) {
      await objects.put(uploadKey(uploadId, position), bytes);
      await uploads.addUploadFile(uploadId, position, `${position}.jpg`, uploadKey(uploadId, position), bytes.length);
    }
    await fixture.ingest({ kind: 'upload', uploadId }, 'sent');
    await fixture.activities.discardUpload({ uploadId });
    await fixture.activities.discardUpload({ uploadId });
    expect(await objects.head(uploadKey(uploadId, 0))).toBeNull();
    expect(Buffer.from(await objects.get(uploadKey(uploadId, 1))).toString()).toBe('no image');
    const refusals = createRefusalStore(fixture.database.db);
    expect((await refusals.files('sent', page)).items).toMatchObject([{ locator: uploadId, position: 1 }]);
    expect(await refusals.upload('sent', uploadId, 1)).toMatchObject({ name: '1.jpg', sizeBytes: 8 });
    expect(await refusals.upload('sent', uploadId, 0)).toBeNull();
    expect(await refusals.upload('other', uploadId, 1)).toBeNull();
    const { rule } = classifyKey(uploadKey(uploadId, 1)) ?? {};
    const keys = [uploadKey(uploadId, 0), uploadKey(uploadId, 1)];
    const references = createObjectReferences(fixture.database.db);
    expect(rule && (await references.unreferenced(rule, keys))).toEqual([uploadKey(uploadId, 0)]);
  });
});
