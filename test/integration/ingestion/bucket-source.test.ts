import { randomUUID } from 'node:crypto';
import { createSourceStore } from '../../../stores/objects/source-store.js';
import { createObjectStore, type ObjectStore } from '../../../stores/objects/object-store.js';
import type { IngestionDependencies } from '../../../activities/ingestion/dependencies.js';
import { createTally } from '../../../activities/ingestion/scan-tally.js';
import { readObject, scanBucket } from '../../../activities/ingestion/s3/bucket-source.js';
import {
  classFolders,
  patternImage,
  startIngestionFixture,
  type IngestionFixture,
} from '../../support/ingestion-fixture.js';
import { startObjectStore } from '../../support/services.js';

describe('a prefix of a bucket', () => {
  let fixture: IngestionFixture;
  beforeAll(async () => {
    fixture = await startIngestionFixture({ MAX_UPLOAD_BYTES: '200000' });
  });
  afterAll(() => fixture.stop());

  async function put(prefix: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
    for (const [path, content] of Object.entries(files))
      await fixture.deps.objects.put(prefix + path, Buffer.from(content));
  }

  it('is ingested as a folder with the same files is, and named by bucket and prefix', async () => {
    const files = await classFolders({ dandelion: 10, grass: 10 });
    await put('incoming/flowers/', { ...files, 'grass/.hidden': 'x', '.trash/a.jpg': 'x', 'Thumbs.db': 'x' });
    await put('incoming/flowers-other/', { 'moss/a.jpg': await patternImage(99) });
    const fromBucket = await fixture.ingest({ kind: 's3', prefix: 'incoming/flowers' }, 'bucket');
    const fromFolder = await fixture.ingest({ kind: 'folder', path: fixture.folder(files) }, 'folder');
    expect(fromBucket).toMatchObject({ digest: fromFolder.digest, quarantined: 0, files: 23 });
    expect(fromBucket.counts?.skipped).toEqual({ hidden: 1, trash: 1, thumbnails: 1 });
    const source = { kind: 's3', locator: 's3://perennial/incoming/flowers/' };
    expect((await fixture.datasets.detail('bucket'))?.sources).toMatchObject([source]);
  });

  it('with an existing split is kept or mixed on the word of a person, and refused without it', async () => {
    const files = await classFolders({ dandelion: 12, grass: 12 });
    const side = (at: number): string => (at % 4 === 0 ? 'val' : 'train');
    await put(
      'split/',
      Object.fromEntries(Object.entries(files).map(([path, file], at) => [`${side(at)}/${path}`, file])),
    );
    await expect(fixture.ingest({ kind: 's3', prefix: 'split' }, 'split')).rejects.toThrow(/"split": "keep"/);
    const kept = await fixture.ingest({ kind: 's3', prefix: 'split', split: 'keep' }, 'split');
    expect(kept.statistics.classes).toEqual({ dandelion: 12, grass: 12 });
    expect(kept.statistics.sides.train).toEqual({ dandelion: 9, grass: 9 });
  });

  it('has new objects found by the next scan, which a retraining does', async () => {
    await put('growing/', await classFolders({ dandelion: 10, grass: 10 }));
    await fixture.ingest({ kind: 's3', prefix: 'growing/' }, 'growing');
    await put('growing/', { 'grass/new.jpg': await patternImage(500) });
    const [again, ...others] = await fixture.datasets.rescanTargets('growing');
    expect([again, ...others]).toEqual([{ kind: 's3', bucket: 'perennial', prefix: 'growing/' }]);
    if (!again) throw new Error('no source to scan again');
    const { version, newImages, statistics } = await fixture.ingest(again, 'growing');
    expect({ version, newImages, classes: statistics.classes }).toEqual({
      ...{ version: 2, newImages: 1 },
      classes: { dandelion: 10, grass: 11 },
    });
  });

  it('has objects quarantined by name that are no image, too large, outside of classes, or gone since the scan', async () => {
    await put('changing/', {
      ...(await classFolders({ dandelion: 10, grass: 10 }, 300)),
      'grass/text.jpg': 'no image',
      'grass/heavy.jpg': Buffer.alloc(200_001),
      'loose.jpg': await patternImage(700),
      'grass/gone.jpg': await patternImage(701),
      'grass/grown.jpg': await patternImage(702),
    });
    const ingestionId = randomUUID();
    const source = { kind: 's3', prefix: 'changing/' } as const;
    await fixture.activities.resolveSource({ ingestionId, dataset: 'changing', source });
    await fixture.activities.scanSource({ ingestionId });
    await fixture.deps.objects.delete('changing/grass/gone.jpg');
    await put('changing/', { 'grass/grown.jpg': Buffer.alloc(200_001) });
    await fixture.activities.ingestBatch({ ingestionId, limit: 100 });
    const { statistics } = await fixture.activities.commitDatasetVersion({ ingestionId });
    expect(statistics.classes).toEqual({ dandelion: 10, grass: 10 });
    const { quarantined } = await fixture.datasets.versionDetail('changing', 1);
    expect(Object.fromEntries(quarantined.map(({ path, reason }) => [path, reason]))).toEqual({
      'grass/text.jpg': 'unsupported_type',
      'grass/heavy.jpg': 'too_many_bytes',
      'loose.jpg': 'bad_label',
      'grass/gone.jpg': 'unreadable',
      'grass/grown.jpg': 'too_many_bytes',
    });
  });

  it('without objects is refused whole, and so are a bucket nobody configured and the folders of Perennial', async () => {
    const ingest = (source: { prefix: string; bucket?: string }): Promise<unknown> =>
      fixture.ingest({ kind: 's3', ...source }, 'refused');
    await expect(ingest({ prefix: 'nothing/here' })).rejects.toMatchObject({ code: 'source_empty' });
    for (const prefix of ['raw', 'raw/files/', '/models/', 'uploads/x', '/', 'a/../raw', 'predictions']) {
      await expect(ingest({ prefix })).rejects.toMatchObject({ code: 'source_not_allowed' });
    }
    const other = ingest({ prefix: 'a', bucket: 'secrets' });
    await expect(other).rejects.toMatchObject({ code: 'source_not_allowed' });
    await expect(other).rejects.toThrow(/INGEST_S3_BUCKET/);
  });

  describe('of another server, which the settings name', () => {
    let server: Awaited<ReturnType<typeof startObjectStore>>;
    let deps: Pick<IngestionDependencies, 'config' | 'objects' | 'sourceObjects'>;
    let theirs: ObjectStore;
    const locator = 's3://photographs/flowers/';
    beforeAll(async () => {
      server = await startObjectStore();
      const keys = server.environment;
      const config = {
        ...fixture.deps.config,
        INGEST_S3_BUCKET: 'photographs',
        INGEST_S3_ENDPOINT: server.endpoint,
        INGEST_S3_ACCESS_KEY_ID: keys['S3_ACCESS_KEY_ID'],
        INGEST_S3_SECRET_ACCESS_KEY: keys['S3_SECRET_ACCESS_KEY'],
      };
      const connected = { ...config, S3_ENDPOINT: fixture.deps.config.S3_ENDPOINT ?? '' };
      theirs = createObjectStore({ ...connected, S3_ENDPOINT: server.endpoint, S3_BUCKET: 'photographs' });
      await theirs.ensureBucket();
      deps = { config, objects: fixture.deps.objects, sourceObjects: createSourceStore(connected) };
    });
    afterAll(async () => {
      theirs.close();
      await server.stop();
    });

    async function scan(from: typeof deps): Promise<unknown[]> {
      const { ingestions } = fixture.deps;
      const opened = {
        id: randomUUID(),
        dataset: 'theirs',
        kind: 's3',
        locator,
        isDefault: false,
        note: null,
      } as const;
      const tools = { tally: createTally(), signal: new AbortController().signal };
      const found = [];
      const { files } = await scanBucket({ ...from, ingestions }, await ingestions.open(opened), tools);
      for await (const file of files) found.push(file);
      return found;
    }

    it('is listed page by page and read from there', async () => {
      const image = await patternImage(800);
      for (let at = 0; at < 3; at += 1) await theirs.put(`flowers/grass/${String(at)}.jpg`, image);
      expect(await scan(deps)).toEqual([0, 1, 2].map((at) => ({ path: `grass/${String(at)}.jpg`, label: 'grass' })));
      expect(await readObject(deps, locator, 'grass/0.jpg')).toEqual({ bytes: image });
      expect(await readObject(deps, locator, 'grass/none.jpg')).toMatchObject({ reason: 'unreadable' });
    });

    it('is refused by the names of its own settings when its keys are wrong, and gets the own keys never', async () => {
      const config = { ...deps.config, INGEST_S3_ACCESS_KEY_ID: undefined, INGEST_S3_SECRET_ACCESS_KEY: undefined };
      const sourceObjects = createSourceStore({ ...config, S3_ENDPOINT: fixture.deps.config.S3_ENDPOINT ?? '' });
      const refused = scan({ ...deps, sourceObjects });
      await expect(refused).rejects.toMatchObject({ code: 'object_store_refused' });
      await expect(refused).rejects.toThrow(/INGEST_S3_ACCESS_KEY_ID/);
    });
  });
});
