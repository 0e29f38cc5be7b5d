import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { resolveSource } from '../../../activities/ingestion/resolve-source.js';
import { checkTrainable } from '../../../domain/datasets/check-trainable.js';
import {
  classFolders,
  patternImage,
  startIngestionFixture,
  type IngestionFixture,
} from '../../support/ingestion-fixture.js';

describe('bad input', () => {
  let fixture: IngestionFixture;
  beforeAll(async () => {
    fixture = await startIngestionFixture({ MAX_UPLOAD_BYTES: '200000' });
  });
  afterAll(() => fixture.stop());

  /** Ingests two good classes and `extra`; returns reason and detail of the refused files, by path. */
  async function refusals(
    dataset: string,
    extra: Readonly<Record<string, Uint8Array | string>>,
    prepare: (folder: string) => void = () => undefined,
  ): Promise<Record<string, string>> {
    const path = fixture.folder({ ...(await classFolders({ dandelion: 10, grass: 10 })), ...extra });
    prepare(path);
    const { version, quarantined, statistics } = await fixture.ingest({ kind: 'folder', path }, dataset);
    const detail = await fixture.datasets.versionDetail(dataset, version);
    expect(detail.quarantined).toHaveLength(quarantined);
    expect(statistics.classes).toEqual({ dandelion: 10, grass: 10 });
    expect(detail.quarantined.every((file) => (file.detail ?? '').length > 10)).toBe(true);
    return Object.fromEntries(detail.quarantined.map(({ path: file, reason }) => [file, reason]));
  }

  it('is refused whole when the folder is missing, is a file, or is empty', async () => {
    const path = fixture.folder({ 'file.txt': 'x' });
    const missing = fixture.ingest({ kind: 'folder', path: join(path, 'nowhere') });
    await expect(missing).rejects.toMatchObject({ code: 'source_not_found' });
    const file = fixture.ingest({ kind: 'folder', path: join(path, 'file.txt') });
    await expect(file).rejects.toMatchObject({ code: 'source_not_found' });
    const empty = fixture.ingest({ kind: 'folder', path: fixture.folder({ 'grass/.hidden': 'x' }) });
    await expect(empty).rejects.toMatchObject({ code: 'source_empty' });
  });

  it('of one class, or of too few images of a class, makes a version that training refuses by name and number', async () => {
    const one = await fixture.ingest(
      { kind: 'folder', path: fixture.folder(await classFolders({ grass: 12 })) },
      'one',
    );
    expect(one.version).toBe(1);
    expect(checkTrainable(one.statistics)).toMatch(/one class only \(grass, 12 images\)/);
    const few = fixture.folder(await classFolders({ grass: 12, dandelion: 9 }));
    const small = await fixture.ingest({ kind: 'folder', path: few }, 'small');
    expect(checkTrainable(small.statistics)).toMatch(/dandelion has 9/);
  });

  it('is recognised by content and not by name', async () => {
    const found = await refusals('types', {
      'grass/text.jpg': 'this is no photograph',
      'grass/empty.jpg': '',
      'grass/gif.png': Buffer.from('GIF89a' + '\0'.repeat(40), 'latin1'),
      'grass/document.jpg': '%PDF-1.7 and so on',
    });
    expect(found).toEqual({
      'grass/text.jpg': 'unsupported_type',
      'grass/empty.jpg': 'unsupported_type',
      'grass/gif.png': 'unsupported_type',
      'grass/document.jpg': 'unsupported_type',
    });
  });

  it('is refused when damaged, too small, too large in pixels or in bytes', async () => {
    const whole = await sharp({
      create: {
        width: 200,
        height: 200,
        channels: 3,
        background: 'green',
        noise: { type: 'gaussian', mean: 120, sigma: 40 },
      },
    })
      .jpeg()
      .toBuffer();
    const found = await refusals('damaged', {
      'grass/truncated.jpg': whole.subarray(0, Math.floor(whole.length / 2)),
      'grass/one-pixel.png': await sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
        .png()
        .toBuffer(),
      'grass/bomb.png': pixelBomb(30_000),
      'grass/heavy.jpg': Buffer.alloc(200_001, 0xff),
    });
    expect(found).toEqual({
      'grass/truncated.jpg': 'truncated',
      'grass/one-pixel.png': 'too_small',
      'grass/bomb.png': 'too_many_pixels',
      'grass/heavy.jpg': 'too_many_bytes',
    });
  });

  it('of unusual but good kinds is accepted: CMYK, 16 bit, grey, WebP', async () => {
    const base = sharp(await patternImage(999)).resize(32, 32);
    const path = fixture.folder({
      'grass/cmyk.jpg': await base.clone().toColourspace('cmyk').jpeg().toBuffer(),
      'grass/deep.png': await base.clone().toColourspace('rgb16').png().toBuffer(),
      'grass/grey.png': await base.clone().negate().greyscale().png().toBuffer(),
      'grass/named.jpg': await base.clone().webp().toBuffer(),
    });
    const { statistics, quarantined } = await fixture.ingest({ kind: 'folder', path }, 'unusual');
    expect(quarantined).toBe(0);
    expect(statistics.formats).toEqual({ jpeg: 1, png: 2, webp: 1 });
  });

  it('in names does not matter: spaces and Unicode are kept, and both spellings of a letter are one label', async () => {
    const composed = 'Löwenzahn';
    const path = fixture.folder({
      [`${composed.normalize('NFC')}/ein Bild (1).jpg`]: await patternImage(1),
      [`${composed.normalize('NFD')}/写真 🌼.jpg`]: await patternImage(2),
      'red clover/a.jpg': await patternImage(3),
      'red clover/deeper/still/b.jpg': await patternImage(4),
    });
    const { statistics } = await fixture.ingest({ kind: 'folder', path }, 'names');
    expect(statistics.classes).toEqual({ [composed.normalize('NFC')]: 2, 'red clover': 2 });
  });

  it('outside the class folders is quarantined, hidden files are ignored', async () => {
    const found = await refusals('beside', {
      'loose.jpg': await patternImage(5),
      '.DS_Store': 'x',
      'grass/.hidden.jpg': await patternImage(6),
      'grass/Thumbs.db': 'x',
      'bad\nname/a.jpg': await patternImage(7),
    });
    expect(found).toEqual({ 'loose.jpg': 'bad_label', 'bad\nname/a.jpg': 'bad_label' });
  });

  it('behind links does no harm: cycles end, links out of the folder and broken links are quarantined', async () => {
    const outside = fixture.folder({ 'secret.jpg': await patternImage(8) });
    const found = await refusals('links', {}, (folder) => {
      symlinkSync('..', join(folder, 'grass', 'up'));
      symlinkSync(folder, join(folder, 'dandelion', 'whole'));
      symlinkSync('circle', join(folder, 'grass', 'circle'));
      symlinkSync(outside, join(folder, 'grass', 'folder'));
      symlinkSync(join(outside, 'secret.jpg'), join(folder, 'grass', 'file.jpg'));
      symlinkSync('missing.jpg', join(folder, 'grass', 'nothing.jpg'));
      symlinkSync('0.jpg', join(folder, 'grass', 'alias.jpg'));
    });
    expect(found).toEqual({
      'grass/circle': 'unreadable',
      'grass/folder': 'link_outside_source',
      'grass/file.jpg': 'link_outside_source',
      'grass/nothing.jpg': 'unreadable',
    });
  });

  it('reached only through a link inside the folder is ingested under the name of the link', async () => {
    const path = fixture.folder({ '.store/a.jpg': await patternImage(20), '.store/b.jpg': await patternImage(21) });
    symlinkSync('.store', join(path, 'moss'));
    const { statistics } = await fixture.ingest({ kind: 'folder', path }, 'stored');
    expect(statistics.classes).toEqual({ moss: 2 });
  });

  it('that cannot be read is quarantined, and a pipe does not hang the scan', async () => {
    const found = await refusals('pipes', {}, (folder) => {
      execFileSync('mkfifo', [join(folder, 'grass', 'pipe.jpg')]);
      mkdirSync(join(folder, 'grass', 'folder.jpg'));
    });
    expect(found).toEqual({ 'grass/pipe.jpg': 'unreadable' });
  });

  it('that changes between scan and reading is quarantined: gone, a pipe by then, or a link to the outside', async () => {
    const path = fixture.folder(await classFolders({ grass: 5 }, 500));
    const outside = fixture.folder({ 'secret.jpg': await patternImage(600) });
    const ingestionId = randomUUID();
    await fixture.activities.resolveSource({ ingestionId, dataset: 'changing', source: { kind: 'folder', path } });
    await fixture.activities.scanSource({ ingestionId });
    for (const name of ['0.jpg', '1.jpg', '2.jpg']) rmSync(join(path, 'grass', name));
    execFileSync('mkfifo', [join(path, 'grass', '1.jpg')]);
    symlinkSync(join(outside, 'secret.jpg'), join(path, 'grass', '2.jpg'));
    await fixture.activities.ingestBatch({ ingestionId, limit: 10 });
    await fixture.activities.commitDatasetVersion({ ingestionId });
    const { quarantined } = await fixture.datasets.versionDetail('changing', 1);
    expect(quarantined.map(({ path: file, reason }) => [file, reason])).toEqual([
      ['grass/0.jpg', 'unreadable'],
      ['grass/1.jpg', 'unreadable'],
      ['grass/2.jpg', 'link_outside_source'],
    ]);
  });

  it('is not quarantined when the whole folder disappears: the ingestion fails, the dataset stays', async () => {
    const path = fixture.folder(await classFolders({ grass: 5 }, 700));
    const ingestionId = randomUUID();
    await fixture.activities.resolveSource({ ingestionId, dataset: 'leaving', source: { kind: 'folder', path } });
    await fixture.activities.scanSource({ ingestionId });
    rmSync(path, { recursive: true });
    const batch = fixture.activities.ingestBatch({ ingestionId, limit: 10 });
    await expect(batch).rejects.toMatchObject({ code: 'source_not_found' });
    await fixture.activities.abandonIngestion({ ingestionId });
    const commit = fixture.activities.commitDatasetVersion({ ingestionId });
    await expect(commit).rejects.toMatchObject({ code: 'conflict' });
    expect(await fixture.datasets.latestVersion('leaving')).toBeNull();
  });

  const isRoot = process.getuid?.() === 0;
  // Root reads every file, whatever its mode.
  (isRoot ? it.skip : it)('without read permission is quarantined', async () => {
    const found = await refusals('locked', { 'grass/locked.jpg': await patternImage(30) }, (folder) =>
      chmodSync(join(folder, 'grass', 'locked.jpg'), 0),
    );
    expect(found).toEqual({ 'grass/locked.jpg': 'unreadable' });
  });

  it('outside ALLOWED_SOURCE_ROOT is refused, also through a link', async () => {
    const outside = fixture.folder(await classFolders({ grass: 1 }));
    const root = fixture.folder({ 'inside/grass/a.jpg': await patternImage(40) });
    symlinkSync(outside, join(root, 'way-out'));
    const config = { ...fixture.deps.config, ALLOWED_SOURCE_ROOT: [root] };
    const resolve = (path: string): Promise<unknown> =>
      resolveSource(
        { ...fixture.deps, config },
        { dataset: 'd', source: { kind: 'folder', path } },
        () => undefined,
        new AbortController().signal,
      );
    await expect(resolve(join(root, 'inside'))).resolves.toMatchObject({ kind: 'folder' });
    await expect(resolve(join(root, 'way-out'))).rejects.toMatchObject({ code: 'source_not_allowed' });
    await expect(resolve(join(root, '..'))).rejects.toMatchObject({ code: 'source_not_allowed' });
  });
});

/** A small, valid PNG that unfolds to `side` × `side` pixels. */
function pixelBomb(side: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const rows = deflateSync(Buffer.alloc(side + 1));
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(body.length + 8);
  frame.writeUInt32BE(data.length, 0);
  body.copy(frame, 4);
  frame.writeUInt32BE(crc32(body), body.length + 4);
  return frame;
}

function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
