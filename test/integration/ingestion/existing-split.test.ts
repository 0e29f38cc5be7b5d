import { join } from 'node:path';
import { rmSync } from 'node:fs';
import type { ExistingSplit, Example } from '../../../contracts/datasets/datasets.js';
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

type Files = Record<string, Uint8Array>;

async function below(folder: string, counts: Record<string, number>, firstNumber: number): Promise<Files> {
  const files = Object.entries(await classFolders(counts, firstNumber));
  return Object.fromEntries(files.map(([path, bytes]) => [`${folder}/${path}`, bytes]));
}

/** Train and validation folders with two classes. */
async function trainAndValidation(firstNumber: number): Promise<Files> {
  return {
    ...(await below('Train', { dandelion: 8, grass: 8 }, firstNumber)),
    ...(await below('val', { dandelion: 4, grass: 5 }, firstNumber + 100)),
  };
}

const ingest = (path: string, dataset: string, split?: ExistingSplit): ReturnType<IngestionFixture['ingest']> =>
  fixture.ingest({ kind: 'folder', path, ...(split && { split }) }, dataset);

async function sidesOf(dataset: string, version: number): Promise<Map<string, string>> {
  const examples: Example[] = await fixture.datasets.examples(dataset, version);
  return new Map(examples.map(({ sha256, side }) => [sha256, side]));
}

describe('a source that is split already', () => {
  it('is refused without a word, with both ways out in the message', async () => {
    const path = fixture.folder(await trainAndValidation(10_000));
    const refused = ingest(path, 'undecided');
    await expect(refused).rejects.toMatchObject({ code: 'split_undecided' });
    await expect(refused).rejects.toThrow(/Train, val.*"split": "keep".*"split": "ignore"/s);
    expect(await fixture.datasets.latestVersion('undecided')).toBeNull();
  });

  it('keeps its sides: half of validation is tested on, for each class', async () => {
    const path = fixture.folder(await trainAndValidation(11_000));
    const { statistics, warnings } = await ingest(path, 'kept', 'keep');
    expect(statistics.sides).toEqual({
      train: { dandelion: 8, grass: 8 },
      validation: { dandelion: 2, grass: 3 },
      test: { dandelion: 2, grass: 2 },
    });
    expect(warnings).toEqual([expect.stringContaining('(Train, val) was kept')]);
  });

  it('is deterministic, and a later run remembers the word and moves no image', async () => {
    const path = fixture.folder(await trainAndValidation(12_000));
    const first = await ingest(path, 'repeated', 'keep');
    expect((await ingest(path, 'again', 'keep')).digest).toBe(first.digest);
    const before = await sidesOf('repeated', 1);
    writeFolder(path, { 'val/grass/new.jpg': await patternImage(12_600) });
    await ingest(path, 'repeated');
    const after = await sidesOf('repeated', 2);
    expect([...after]).toEqual(expect.arrayContaining([...before]));
    expect(after.size).toBe(before.size + 1);
    expect((await ingest(path, 'repeated', 'ignore')).version).toBe(2);
  });

  it('with a test side stores all three sides as given', async () => {
    const path = fixture.folder({
      ...(await below('train', { a: 3 }, 13_000)),
      ...(await below('validation', { a: 2 }, 13_100)),
      ...(await below('TEST', { a: 4 }, 13_200)),
    });
    const { statistics } = await ingest(path, 'three', 'keep');
    expect(statistics.sides).toEqual({ train: { a: 3 }, validation: { a: 2 }, test: { a: 4 } });
  });

  it('without validation takes part of train', async () => {
    const path = fixture.folder({
      ...(await below('train', { a: 20 }, 14_000)),
      ...(await below('test', { a: 4 }, 14_100)),
    });
    const { sides } = (await ingest(path, 'no-validation', 'keep')).statistics;
    expect(sides.test).toEqual({ a: 4 });
    expect(sides.validation['a']).toBeGreaterThan(1);
    expect((sides.validation['a'] ?? 0) + (sides.train['a'] ?? 0)).toBe(20);
  });

  it('is flattened and split anew with `ignore`', async () => {
    const path = fixture.folder(await trainAndValidation(15_000));
    const { statistics } = await ingest(path, 'flat', 'ignore');
    expect(statistics.classes).toEqual({ dandelion: 12, grass: 13 });
    expect(statistics.sides.test).toEqual({ dandelion: 2, grass: 2 });
  });

  it('reports an image on two sides and puts it on the one that is measured', async () => {
    const leak = await patternImage(16_900);
    const path = fixture.folder({
      ...(await trainAndValidation(16_000)),
      'Train/grass/leak.jpg': leak,
      'val/grass/leak.jpg': leak,
    });
    const { statistics } = await ingest(path, 'leaking', 'keep');
    expect(statistics.sides.train).toEqual({ dandelion: 8, grass: 8 });
    expect(statistics.warnings.join()).toMatch(/several sides.*Train\/grass\/leak\.jpg and .*val\/grass\/leak\.jpg/);
  });

  it('below the class folders is the same, and classes are never called train', async () => {
    const path = fixture.folder({
      ...(await below('grass', { train: 4, test: 2 }, 17_000)),
      ...(await below('moss', { train: 5, test: 3 }, 17_100)),
    });
    await expect(ingest(path, 'inside')).rejects.toMatchObject({ code: 'split_undecided' });
    const { statistics } = await ingest(path, 'inside', 'keep');
    expect(statistics.classes).toEqual({ grass: 6, moss: 8 });
    expect(statistics.sides.test).toEqual({ grass: 2, moss: 3 });
  });

  it('is seen below a folder around it, and a folder around classes is noted', async () => {
    const split = fixture.folder(await below('set/photos', { train: 2, val: 2 }, 18_000));
    await expect(ingest(split, 'around')).rejects.toMatchObject({ code: 'source_layout' });
    const plain = fixture.folder(await below('photos', { grass: 2, moss: 2 }, 18_100));
    const { statistics } = await ingest(plain, 'wrapped');
    expect(statistics.classes).toEqual({ grass: 2, moss: 2 });
    expect(statistics.warnings).toEqual([expect.stringContaining('in the folder photos, which is no class')]);
  });

  it('leaves a class that the dataset has, and years within a class, unchanged', async () => {
    const years = fixture.folder(await below('grass', { 2025: 2, 2026: 2 }, 19_000));
    expect((await ingest(years, 'years')).statistics.classes).toEqual({ grass: 4 });
    const parts = fixture.folder(await below('grass', { near: 2, far: 2 }, 19_100));
    expect((await ingest(parts, 'years')).statistics.classes).toEqual({ grass: 8 });
  });

  it('into images and labels, as for detection, is refused by name', async () => {
    const path = fixture.folder({ 'images/1.jpg': await patternImage(20_000), 'labels/1.txt': 'x' });
    const refused = ingest(path, 'detection');
    await expect(refused).rejects.toMatchObject({ code: 'source_layout' });
    await expect(refused).rejects.toThrow(/images and labels/);
  });

  it('stays readable when one side disappears later', async () => {
    const path = fixture.folder(await trainAndValidation(21_000));
    await ingest(path, 'shrinking', 'keep');
    rmSync(join(path, 'val'), { recursive: true });
    const { statistics } = await ingest(path, 'shrinking');
    expect(statistics.classes).toEqual({ dandelion: 8, grass: 8 });
  });
});
