import { randomBytes, randomUUID } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IngestionResult } from '../../../contracts/datasets/ingestion.js';
import { tarOf, zipOf, type TarFileEntry, type ZipFileEntry } from '../../support/archives.js';
import {
  classFolders,
  patternImage,
  startIngestionFixture,
  type IngestionFixture,
} from '../../support/ingestion-fixture.js';
import { textMatching } from '../../support/text-matching.js';

const flowers = { dandelion: 10, grass: 10 };

describe('an archive of class folders', () => {
  let fixture: IngestionFixture;
  let files: Record<string, Uint8Array>;
  beforeAll(async () => {
    fixture = await startIngestionFixture({ MAX_UPLOAD_BYTES: '200000' });
    files = await classFolders(flowers);
  });
  afterAll(() => fixture.stop());

  const entries = (around = ''): { name: string; content: Uint8Array }[] =>
    Object.entries(files).map(([name, content]) => ({ name: around + name, content }));

  function write(name: string, content: Uint8Array): string {
    return join(fixture.folder({ [name]: content }), name);
  }

  async function ingest(dataset: string, content: Uint8Array, name = 'photos'): Promise<IngestionResult> {
    return fixture.ingest({ kind: 'archive', path: write(name, content) }, dataset);
  }

  /** Ingests two good classes and `extra`; returns the refused files with reason and detail. */
  async function refusals(dataset: string, content: Uint8Array): Promise<Record<string, string>> {
    const { version, statistics } = await ingest(dataset, content);
    expect(statistics.classes).toEqual(flowers);
    const { quarantined } = await fixture.datasets.versionDetail(dataset, version);
    return Object.fromEntries(quarantined.map(({ path, reason, detail }) => [path, `${reason}: ${detail ?? ''}`]));
  }

  const withZip = (dataset: string, extra: readonly ZipFileEntry[]): Promise<Record<string, string>> =>
    refusals(dataset, zipOf([...entries(), ...extra]));
  const withTar = async (dataset: string, extra: readonly TarFileEntry[]): Promise<Record<string, string>> =>
    refusals(dataset, await tarOf([...entries(), ...extra]));

  it('is read the same as zip, tar and tar.gz, with and without a folder around it, whatever its name', async () => {
    const digests = [
      await ingest('zipped', zipOf(entries())),
      await ingest('around', zipOf([{ name: 'photos/' }, ...entries('photos/')]), 'flowers.zip'),
      await ingest(
        'windows',
        zipOf(entries().map(({ name, content }) => ({ name: name.replace('/', '\\'), content }))),
      ),
      await ingest('tarred', await tarOf(entries('./')), 'flowers.tar'),
      await ingest('gzipped', await tarOf(entries('photos/'), { gzip: true }), 'flowers.tgz'),
      await fixture.ingest({ kind: 'folder', path: fixture.folder(files) }, 'unpacked'),
    ].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(1);
  });

  it('with a single class folder keeps that as the class', async () => {
    const only = entries().filter(({ name }) => name.startsWith('grass/'));
    expect((await ingest('single', zipOf(only))).statistics.classes).toEqual({ grass: 10 });
  });

  it('has class folders whose files are all refused, and does not take the folder around the others for a class', async () => {
    const image = await patternImage(901);
    const grass = entries('photos/').filter(({ name }) => name.startsWith('photos/grass/'));
    const latin1 = { name: Buffer.from('photos/l\xf6wenzahn/0.jpg', 'latin1'), content: image };
    const link = { name: 'photos/moss/0.jpg', content: '/etc/passwd', mode: 0o120777 };
    for (const [dataset, refused] of Object.entries({ latin1, link })) {
      const { statistics } = await ingest(`one-good-${dataset}`, zipOf([...grass, refused]));
      expect(statistics).toMatchObject({ classes: { grass: 10 }, quarantined: { unsafe_entry: 1 } });
    }
    const fromTar = await tarOf([...grass, { name: 'photos/l\ufffdwenzahn/0.jpg', content: image }]);
    expect((await ingest('one-good-tar', fromTar)).statistics.classes).toEqual({ grass: 10 });
  });

  it('that is split already is refused by name, and kept or mixed on the word of a person, also as an upload', async () => {
    const side = (at: number): string => (at % 5 === 0 ? 'Val' : 'train');
    const content = zipOf(
      entries().map(({ name, content: bytes }, at) => ({ name: `set/${side(at)}/${name}`, content: bytes })),
    );
    const path = write('split.zip', content);
    await expect(fixture.ingest({ kind: 'archive', path }, 'split')).rejects.toThrow(/"split": "keep"/);
    const kept = await fixture.ingest({ kind: 'archive', path, split: 'keep' }, 'split');
    expect(kept.statistics.classes).toEqual(flowers);
    expect(kept.statistics.sides.train).toEqual({ dandelion: 8, grass: 8 });
    const mixed = await fixture.ingest({ kind: 'archive', path, split: 'ignore' }, 'mixed');
    expect(mixed.statistics).toMatchObject({ classes: flowers, images: 20 });
    const { deps } = fixture;
    const uploadId = await deps.uploads.createUpload({ dataset: 'split-upload', label: null });
    await deps.objects.put(`uploads/${uploadId}/0`, content);
    await deps.uploads.addUploadFile(uploadId, 0, 'split.zip', `uploads/${uploadId}/0`, content.length);
    const uploaded = await fixture.ingest({ kind: 'upload', uploadId, split: 'keep' }, 'split-upload');
    expect(uploaded.digest).toBe(kept.digest);
  });

  it('leaves out hidden files and what macOS adds, also when deciding what lies around the class folders', async () => {
    const added = [
      { name: '__MACOSX/photos/grass/._0.jpg', content: 'x' },
      { name: 'photos/.DS_Store', content: 'x' },
    ];
    expect(await refusals('mac', zipOf([...entries('photos/'), ...added]))).toEqual({});
  });

  it('has entries of a zip refused by name that lead out, are links, encrypted, double, damaged or too large', async () => {
    const image = await patternImage(900);
    const found = await withZip('bad-zip', [
      { name: 'grass/../../etc/passwd.jpg', content: image },
      { name: '/grass/absolute.jpg', content: image },
      { name: 'C:\\grass\\drive.jpg', content: image },
      { name: '..\\grass\\up.jpg', content: image },
      { name: Buffer.from('grass/caf\xe9.jpg', 'latin1'), content: image },
      { name: 'grass/nul\0.jpg', content: image },
      { name: 'grass/0.jpg', content: image },
      { name: 'grass/link.jpg', content: '/etc/passwd', mode: 0o120777 },
      { name: 'grass/secret.jpg', content: image, flags: 1 },
      { name: 'grass/lzma.jpg', content: image, method: 14 },
      { name: 'grass/flipped.jpg', content: image, crc: 1 },
      { name: 'grass/longer.jpg', content: Buffer.alloc(100_000), declaredBytes: 10 },
      { name: 'grass/heavy.jpg', content: randomBytes(200_001) },
      { name: 'grass/inner.zip', content: zipOf(entries().slice(0, 1)) },
      { name: 'loose.jpg', content: image },
    ]);
    expect(found).toEqual({
      'grass/../../etc/passwd.jpg (entry 21)': textMatching(/^unsafe_entry: .*leads out/),
      '/grass/absolute.jpg (entry 22)': textMatching(/^unsafe_entry/),
      'C:\\grass\\drive.jpg (entry 23)': textMatching(/^unsafe_entry/),
      '..\\grass\\up.jpg (entry 24)': textMatching(/^unsafe_entry/),
      'grass/café.jpg (entry 25)': textMatching(/^unsafe_entry: .*UTF-8/),
      'grass/nul\ufffd.jpg (entry 26)': textMatching(/^unsafe_entry/),
      'grass/0.jpg (entry 27)': textMatching(/^unsafe_entry: .*two files/),
      'grass/link.jpg (entry 28)': textMatching(/^unsafe_entry: .*link/),
      'grass/secret.jpg': textMatching(/^unreadable: .*encrypted/),
      'grass/lzma.jpg': textMatching(/^unreadable: .*method 14/),
      'grass/flipped.jpg': textMatching(/^unreadable: .*checksum/),
      'grass/longer.jpg': textMatching(/^unreadable: .*damaged/),
      'grass/heavy.jpg': textMatching(/^too_many_bytes/),
      'grass/inner.zip': textMatching(/^unsupported_type/),
      'loose.jpg': textMatching(/^bad_label/),
    });
  });

  it('has entries of a tar refused by name that lead out, are links or devices, double or too large', async () => {
    const found = await withTar('bad-tar', [
      { name: 'grass/../../up.jpg', content: 'x' },
      { name: '/grass/absolute.jpg', content: 'x' },
      { name: 'grass/link.jpg', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'grass/hard.jpg', type: 'link', linkname: 'grass/0.jpg' },
      { name: 'grass/disk', type: 'block-device' },
      { name: 'grass/pipe', type: 'fifo' },
      { name: 'grass/0.jpg', content: 'x' },
      { name: 'grass/heavy.jpg', content: Buffer.alloc(200_001) },
      { name: `grass/${'long/'.repeat(300)}a.jpg`, content: 'x' },
    ]);
    const reasons = Object.entries(found).map(([path, detail]) => [path.slice(0, 30), detail.split(':')[0]]);
    expect(Object.fromEntries(reasons)).toEqual({
      'grass/../../up.jpg (entry 21)': 'unsafe_entry',
      '/grass/absolute.jpg (entry 22)': 'unsafe_entry',
      'grass/link.jpg (entry 23)': 'unsafe_entry',
      'grass/hard.jpg (entry 24)': 'unsafe_entry',
      'grass/disk (entry 25)': 'unsafe_entry',
      'grass/pipe (entry 26)': 'unsafe_entry',
      'grass/0.jpg (entry 27)': 'unsafe_entry',
      'grass/heavy.jpg': 'too_many_bytes',
      [`grass/${'long/'.repeat(300)}`.slice(0, 30)]: 'unreadable',
    });
  });

  it('is refused whole when it is truncated, of another format, or unpacks to far more than images do', async () => {
    const zip = zipOf(entries());
    const gzipped = await tarOf(entries(), { gzip: true });
    const bombs = {
      zip: zipOf([...entries(), { name: 'grass/zeros.jpg', content: Buffer.alloc(120_000_000) }]),
      overlapping: zipOf(
        Array.from({ length: 3 }, (_, at) => ({ name: `a/${at}`, content: 'x', declaredBytes: 2 ** 31 })),
      ),
      tar: await tarOf([{ name: 'grass/zeros.jpg', content: Buffer.alloc(120_000_000) }], { gzip: true }),
    };
    const cases: [Uint8Array, RegExp][] = [
      [zip.subarray(0, zip.length - 40), /not a complete zip/],
      [gzipped.subarray(0, gzipped.length - 40), /not a complete tar/],
      [(await tarOf(entries())).subarray(0, 3_000), /not a complete tar/],
      [Buffer.concat([Buffer.from('377abcaf271c', 'hex'), Buffer.alloc(600)]), /a 7z file/],
      [await patternImage(1), /no archive/],
      [bombs.zip, /unpacks to more than/],
      [bombs.overlapping, /unpacks to more than/],
      [bombs.tar, /unpacks to more than/],
    ];
    for (const [content, message] of cases) {
      const refused = ingest('refused', content);
      await expect(refused).rejects.toMatchObject({ code: 'archive_invalid' });
      await expect(refused).rejects.toThrow(message);
    }
    await expect(ingest('refused', zipOf([]))).rejects.toMatchObject({ code: 'source_empty' });
  });

  it('may use the fields of zip64', async () => {
    const large = entries().map((entry) => ({ ...entry, declaredBytes: null }));
    expect((await ingest('zip64', zipOf(large))).statistics.classes).toEqual(flowers);
  });

  it('that is replaced between scan and reading has its missing files quarantined, and none is read twice', async () => {
    const path = write('photos.zip', zipOf(entries()));
    const ingestionId = randomUUID();
    const source = { kind: 'archive', path } as const;
    await fixture.activities.resolveSource({ ingestionId, dataset: 'replaced', source });
    await fixture.activities.scanSource({ ingestionId });
    writeFileSync(`${path}.new`, zipOf(entries().slice(2)));
    renameSync(`${path}.new`, path);
    const batch = await fixture.activities.ingestBatch({ ingestionId, limit: 5 });
    expect(batch).toMatchObject({ pending: 0, accepted: 18, quarantined: 2 });
  });

  it('is scanned again by a retraining', async () => {
    const path = write('photos.zip', zipOf(entries()));
    await fixture.ingest({ kind: 'archive', path }, 'again');
    expect(await fixture.datasets.rescanTargets('again')).toEqual([{ kind: 'archive', path }]);
  });

  it('is ingested from an upload as well, and its scratch copy is removed', async () => {
    const { deps } = fixture;
    const uploadId = await deps.uploads.createUpload({ dataset: 'uploaded', label: null });
    const content = zipOf(entries('photos/'));
    await deps.objects.put(`uploads/${uploadId}/0`, content);
    await deps.uploads.addUploadFile(uploadId, 0, 'photos.zip', `uploads/${uploadId}/0`, content.length);
    const { statistics } = await fixture.ingest({ kind: 'upload', uploadId }, 'uploaded');
    expect(statistics.classes).toEqual(flowers);
  });
});
