import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountDisk } from '../../support/small-disk.js';
import { createStorageGuard, type StorageUse } from '../../../platform/storage-guard.js';

/** More than any disk has. */
const never = 2 ** 52;
const folder = tmpdir();

describe('the storage guard', () => {
  it('reports the free space of the disk, and is silent while there is enough', async () => {
    const { bavail, bsize } = await statfs(folder);
    const state = await createStorageGuard({ folders: [folder], minFreeBytes: 1 }).measure();
    expect(state.shortage).toBeNull();
    // Other processes use the disk too.
    expect(Math.abs((state.freeBytes ?? 0) - bavail * bsize)).toBeLessThan(50_000_000_000);
  });

  it('refuses below the minimum with figures, the setting and what to do, and counts the refusal', async () => {
    const refused: StorageUse[] = [];
    const guard = createStorageGuard({
      folders: [folder],
      minFreeBytes: never,
      onRefused: (use) => refused.push(use),
    });
    await expect(guard.require('upload')).rejects.toMatchObject({ code: 'insufficient_storage' });
    await expect(guard.require('upload')).rejects.toThrow(
      /PERENNIAL_HOME.* has [\d.]+ [MG]B free; .*MIN_FREE_BYTES.*Free space there/,
    );
    expect(refused).toEqual(['upload', 'upload']);
  });

  it('refuses bytes that would not leave the minimum', async () => {
    const guard = createStorageGuard({ folders: [folder], minFreeBytes: 0 });
    await guard.require('upload', 1);
    await expect(guard.require('upload', never)).rejects.toMatchObject({ code: 'insufficient_storage' });
  });

  it('examines the parent of a folder that does not exist yet', async () => {
    const missing = join(folder, 'not', 'there', 'yet');
    expect((await createStorageGuard({ folders: [missing], minFreeBytes: 0 }).measure()).freeBytes).toBeGreaterThan(0);
  });

  it('takes the folder with a shortage, whatever the others have', async () => {
    const guard = createStorageGuard({ folders: [folder, '/proc/self/no\0path'], minFreeBytes: 0 });
    expect((await guard.measure()).shortage).toContain('cannot be examined');
  });
});

const readOnly = await mountDisk('1m', 'ro');
(readOnly.reason === null ? describe : describe.skip)('the storage guard on a read-only disk', () => {
  afterAll(() => readOnly.unmount());

  it('refuses, and says how to continue', async () => {
    const guard = createStorageGuard({ folders: [readOnly.folder], minFreeBytes: 0 });
    await expect(guard.require('run')).rejects.toThrow(/not writable \(EROFS\)\. Mount it read-write/);
  });
});
