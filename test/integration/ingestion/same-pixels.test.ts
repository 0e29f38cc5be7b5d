import { rmSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { pixelVersion } from '../../../contracts/datasets/datasets.js';
import { drawSyntheticImage } from '../../../model/images/synthetic.js';
import { eraseImage } from '../../../stores/erasure/erase-items.js';
import { classFolders, patternImage, startIngestionFixture, writeFolder } from '../../support/ingestion-fixture.js';
import type { IngestionFixture } from '../../support/ingestion-fixture.js';
import { sha256Of } from '../../support/training-fixtures.js';

let fixture: IngestionFixture;

beforeAll(async () => {
  fixture = await startIngestionFixture();
});

afterAll(() => fixture.stop());

/** The same pixels in other bytes. */
function asPng(image: Uint8Array): Promise<Buffer> {
  return sharp(image).png().toBuffer();
}

async function withCopies(number: number): Promise<Record<string, Uint8Array>> {
  const image = await patternImage(number);
  return { jpeg: image, png: await asPng(image), webp: await sharp(image).webp({ lossless: true }).toBuffer() };
}

async function sidesOf(dataset: string, version: number): Promise<Map<string, string>> {
  const examples = await fixture.datasets.examples(dataset, version);
  return new Map(examples.map(({ sha256, side }) => [sha256, side]));
}

describe('the same picture in other bytes', () => {
  it('is one image of a version, and a duplicate', async () => {
    const { jpeg = Buffer.of(), png = Buffer.of(), webp = Buffer.of() } = await withCopies(100);
    const path = fixture.folder({
      ...(await classFolders({ dandelion: 3, grass: 3 }, 200)),
      'grass/a.jpg': jpeg,
      'grass/b.png': png,
      'grass/c.webp': webp,
    });
    const result = await fixture.ingest({ kind: 'folder', path }, 'copies');
    expect(result).toMatchObject({ files: 9, duplicates: 2, conflicts: 0 });
    expect(result.statistics).toMatchObject({ images: 7, duplicates: 2, classes: { dandelion: 3, grass: 4 } });
  });

  it('is a conflict under two labels, which names both files', async () => {
    const { jpeg = Buffer.of(), png = Buffer.of() } = await withCopies(300);
    const files = { 'grass/same.jpg': jpeg, 'dandelion/same.png': png };
    const path = fixture.folder({ ...(await classFolders({ dandelion: 3, grass: 3 }, 400)), ...files });
    const result = await fixture.ingest({ kind: 'folder', path }, 'torn');
    expect(result).toMatchObject({ conflicts: 1, statistics: { images: 6 } });
    const { conflicts } = await fixture.datasets.versionDetail('torn', 1);
    expect(conflicts).toMatchObject([
      { labels: ['dandelion', 'grass'], paths: [`${path}/dandelion/same.png`, `${path}/grass/same.jpg`] },
    ]);
  });

  it('does not make a version, and takes the split of the file that it replaces', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 8, grass: 8 }, 500));
    await fixture.ingest({ kind: 'folder', path }, 'replaced');
    const before = await sidesOf('replaced', 1);
    const [original, copy] = [await patternImage(500), await asPng(await patternImage(500))];
    writeFolder(path, { 'dandelion/copy.png': copy });
    expect(await fixture.ingest({ kind: 'folder', path }, 'replaced')).toMatchObject({ version: 1, duplicates: 1 });
    rmSync(join(path, 'dandelion/0.jpg'));
    expect(await fixture.ingest({ kind: 'folder', path }, 'replaced')).toMatchObject({ version: 2, duplicates: 0 });
    const after = await sidesOf('replaced', 2);
    const moved = [...after].filter(([sha256]) => !before.has(sha256));
    const gone = [...before].filter(([sha256]) => !after.has(sha256));
    expect(moved.map(([, side]) => side)).toEqual(gone.map(([, side]) => side));
    expect(original.equals(copy)).toBe(false);
  });

  it('is found against images of earlier releases, whose pixels are read by the next ingestion', async () => {
    const path = fixture.folder(await classFolders({ dandelion: 4, grass: 4 }, 600));
    await fixture.ingest({ kind: 'folder', path }, 'upgraded');
    const { db } = fixture.database;
    await db.query('UPDATE images SET pixel_sha256 = NULL, pixel_version = NULL, perceptual_hash = NULL');
    const other = fixture.folder({ 'grass/copy.png': await asPng(await patternImage(600)) });
    const result = await fixture.ingest({ kind: 'folder', path: other }, 'upgraded');
    expect(result).toMatchObject({ conflicts: 1, statistics: { images: 7 } });
    const unread = await db.query(
      `SELECT FROM images JOIN image_sides USING (sha256)
       WHERE dataset = 'upgraded' AND pixel_version IS DISTINCT FROM $1`,
      [pixelVersion],
    );
    expect(unread).toHaveLength(0);
  });

  it('is refused when the image was erased, and erased with it', async () => {
    const { jpeg = Buffer.of(), png = Buffer.of(), webp = Buffer.of() } = await withCopies(700);
    const others = await classFolders({ dandelion: 3, grass: 3 }, 800);
    const path = fixture.folder({ ...others, 'grass/a.jpg': jpeg, 'grass/b.png': png });
    await fixture.ingest({ kind: 'folder', path }, 'erased');
    const erased = await fixture.database.db.transaction((tx) => eraseImage(tx, sha256Of(jpeg)));
    expect(erased?.counts['images']).toBe(2);
    writeFolder(path, { 'grass/c.webp': webp });
    const result = await fixture.ingest({ kind: 'folder', path }, 'erased');
    expect(result).toMatchObject({ quarantined: 3, statistics: { images: 6, quarantined: { erased: 3 } } });
  });
});

describe('pictures that look almost alike', () => {
  it('are reported with the version and stay in it', async () => {
    const image = await drawSyntheticImage('dandelion', 1);
    const smaller = await sharp(image).resize({ width: 120 }).jpeg({ quality: 70 }).toBuffer();
    const path = fixture.folder({
      'dandelion/a.jpg': image,
      'dandelion/b.jpg': smaller,
      'grass/c.jpg': await drawSyntheticImage('grass', 1),
    });
    const { statistics } = await fixture.ingest({ kind: 'folder', path }, 'alike');
    expect(statistics.images).toBe(3);
    expect(statistics.nearDuplicates).toMatchObject({ pairs: 1, examples: [{ labels: ['dandelion', 'dandelion'] }] });
    const [pair] = statistics.nearDuplicates?.examples ?? [];
    expect([...(pair?.images ?? [])].sort()).toEqual([sha256Of(image), sha256Of(smaller)].sort());
  });
});

describe('half a JPEG with an end marker', () => {
  it('is quarantined as truncated; one without its end marker is accepted', async () => {
    const image = await patternImage(900);
    const half = Buffer.concat([image.subarray(0, image.length / 2), Buffer.of(0xff, 0xd9)]);
    const path = fixture.folder({
      ...(await classFolders({ dandelion: 3, grass: 3 }, 1000)),
      'grass/half.jpg': half,
      'grass/unended.jpg': image.subarray(0, -2),
    });
    const result = await fixture.ingest({ kind: 'folder', path }, 'halves');
    expect(result).toMatchObject({ quarantined: 1, statistics: { images: 7, quarantined: { truncated: 1 } } });
  });
});
