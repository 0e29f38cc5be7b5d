import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedLayers } from '../../../../model/export/int8-cache.js';
import { withFolder } from '../../../support/training-fixtures.js';

const imagesOf = (...sha256s: string[]): { sha256: string; path: string }[] =>
  sha256s.map((sha256) => ({ sha256, path: `/anywhere/${sha256}` }));

/** Quantizes for `sha256s`; returns the layers, and whether they were made now. */
async function quantize(folder: string, sha256s: string[]): Promise<{ layers: string; isNew: boolean }> {
  let isNew = false;
  const layers = await cachedLayers(folder, imagesOf(...sha256s), () => {
    isNew = true;
    return Promise.resolve(Buffer.from(`layers of ${sha256s.join()}`));
  });
  return { layers: Buffer.from(layers).toString(), isNew };
}

describe('quantized layers of the backbone', () => {
  it('are made once for the same images, and again for others or another order', () =>
    withFolder(async (folder) => {
      const cache = join(folder, 'cache');
      expect(await quantize(cache, ['a', 'b'])).toEqual({ layers: 'layers of a,b', isNew: true });
      expect(await quantize(cache, ['a', 'b'])).toEqual({ layers: 'layers of a,b', isNew: false });
      expect(await quantize(cache, ['a', 'c'])).toEqual({ layers: 'layers of a,c', isNew: true });
      expect(await quantize(cache, ['b', 'a'])).toEqual({ layers: 'layers of b,a', isNew: true });
      expect(await quantize(cache, ['a'])).toEqual({ layers: 'layers of a', isNew: true });
    }));

  it('are made again when the file is damaged', () =>
    withFolder(async (folder) => {
      await quantize(folder, ['a']);
      const [name = ''] = await readdir(folder);
      const bytes = await readFile(join(folder, name));
      for (const damaged of [Buffer.alloc(0), bytes.subarray(0, -1), Buffer.alloc(bytes.length)]) {
        await writeFile(join(folder, name), damaged);
        expect(await quantize(folder, ['a'])).toEqual({ layers: 'layers of a', isNew: true });
      }
    }));

  it('are stored for the last few samples only', () =>
    withFolder(async (folder) => {
      for (const sample of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await quantize(folder, [sample]);
      expect((await readdir(folder)).length).toBeLessThanOrEqual(4);
    }));

  it('are used although they cannot be stored, and not stored when they cannot be made', () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, 'file'), '');
      expect(await quantize(join(folder, 'file'), ['a'])).toEqual({ layers: 'layers of a', isNew: true });
      const failing = cachedLayers(folder, imagesOf('x'), () => Promise.reject(new Error('no images')));
      await expect(failing).rejects.toThrow('no images');
      expect(await quantize(folder, ['x'])).toEqual({ layers: 'layers of x', isNew: true });
    }));
});
