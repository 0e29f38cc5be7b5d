import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { measureFolder } from '../../../../api/storage/measure-folder.js';
import { measureStorage, type StorageSources } from '../../../../api/storage/measure-storage.js';
import { createStorageMeter } from '../../../../api/storage/storage-meter.js';
import { rawImageKey, runArtifactKey } from '../../../../stores/objects/object-keys.js';
import { withFolder } from '../../../support/training-fixtures.js';

const keys = [rawImageKey('ab'.repeat(16)), rawImageKey('cd'.repeat(16)), runArtifactKey('r', 'a.svg'), 'mine/a.png'];

/** Sources with these objects of 10 bytes each, which count how often the bucket is listed. */
function sourcesOf(home: string): StorageSources & { listings: () => number } {
  let listings = 0;
  return {
    home,
    listings: () => listings,
    objects: {
      async *list() {
        listings += 1;
        for (const key of keys) yield await Promise.resolve({ key, sizeBytes: 10, modifiedAt: new Date() });
      },
    },
    databaseSizes: { sizes: () => Promise.resolve({ predictionBytes: 7, otherBytes: 9 }) },
  };
}

const unavailable: Partial<StorageSources> = {
  objects: {
    async *list() {
      await Promise.reject(new Error('the object store is unavailable'));
    },
  },
  databaseSizes: { sizes: () => Promise.reject(new Error('the database is unavailable')) },
};

describe('a measurement of the storage', () => {
  it('sums objects, tables and folders by kind, each in one place', () =>
    withFolder(async (home) => {
      await mkdir(join(home, 'logs'));
      await writeFile(join(home, 'logs', 'api.log'), 'x'.repeat(10_000));
      const { items, freeBytes, diskBytes } = await measureStorage(sourcesOf(home));
      expect(items).toEqual(
        expect.arrayContaining([
          { kind: 'datasets', place: 'bucket', bytes: 20, objects: 2 },
          { kind: 'artifacts', place: 'bucket', bytes: 10, objects: 1 },
          { kind: 'other', place: 'bucket', bytes: 10, objects: 1 },
          { kind: 'features', place: 'bucket', bytes: 0, objects: 0 },
          { kind: 'predictions', place: 'database', bytes: 7, objects: null },
          { kind: 'database', place: 'database', bytes: 9, objects: null },
          { kind: 'temporal', place: 'disk', bytes: null, objects: null },
        ]),
      );
      const logs = items.find(({ kind }) => kind === 'logs');
      expect(logs).toMatchObject({ place: 'disk', objects: 1 });
      expect(logs?.bytes).toBeGreaterThanOrEqual(10_000);
      expect(new Set(items.map(({ kind, place }) => `${kind} ${place}`)).size).toBe(items.length);
      expect(freeBytes).toBeGreaterThan(0);
      expect(diskBytes).toBeGreaterThanOrEqual(freeBytes ?? 0);
    }));

  it('is null, and no error, for what cannot be read', async () => {
    const measured = await measureStorage({ ...sourcesOf('/nowhere'), ...unavailable });
    expect(measured).toMatchObject({ freeBytes: null, diskBytes: null });
    expect(measured.items.filter(({ bytes, objects }) => bytes !== null || objects !== null)).toEqual([]);
  });

  it('follows no links, and leaves out what it is told to', () =>
    withFolder(async (folder) => {
      await mkdir(join(folder, 'deep', 'deeper'), { recursive: true });
      await mkdir(join(folder, 'uploads'));
      await writeFile(join(folder, 'deep', 'deeper', 'a'), 'a');
      await writeFile(join(folder, 'uploads', 'b'), 'b');
      await symlink('/', join(folder, 'root'));
      expect(await measureFolder(folder, ['uploads'])).toMatchObject({ objects: 1 });
      expect(await measureFolder(folder)).toMatchObject({ objects: 2 });
      expect(await measureFolder(join(folder, 'missing'))).toBeNull();
    }));
});

describe('the storage meter', () => {
  it('lists the bucket once in five minutes, and shows the last measurement meanwhile', () =>
    withFolder(async (home) => {
      const sources = sourcesOf(home);
      let later = 0;
      const meter = createStorageMeter(sources, () => Date.now() + later);
      expect(meter.known()).toBeNull();
      const first = await meter.latest();
      for (let scrape = 0; scrape < 10; scrape += 1) expect(meter.known()).toBe(first);
      expect(sources.listings()).toBe(1);
      later = 6 * 60_000;
      expect(meter.known()).toBe(first);
      expect(await meter.latest()).toBe(first);
      expect(sources.listings()).toBe(2);
    }));

  it('measures once for many that wait for the first measurement', () =>
    withFolder(async (home) => {
      const sources = sourcesOf(home);
      const meter = createStorageMeter(sources);
      const answers = await Promise.all([meter.latest(), meter.latest(), meter.latest()]);
      expect(new Set(answers).size).toBe(1);
      expect(sources.listings()).toBe(1);
    }));
});
