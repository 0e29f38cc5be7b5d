import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import { backboneDigest, backboneFeatures, featureRuntime } from '../../../../model/architectures/backbone-digest.js';
import { currentPreprocessing } from '../../../../contracts/registry/bundle.js';
import { createFeatureWriter, readFeatures } from '../../../../model/features/feature-file.js';
import { sha256Of, withFolder } from '../../../support/training-fixtures.js';

const rows = [0, 1, 2].map((row) => ({
  sha256: sha256Of(String(row)),
  embedding: Float32Array.from({ length: backboneFeatures }, (_, index) => Math.fround(row + index / 7)),
}));

async function writeRows(path: string): Promise<void> {
  const writer = createFeatureWriter(path, 'efficientnet-lite0');
  for (const { sha256, embedding } of rows) writer.write([sha256], [embedding]);
  await writer.close();
}

describe('a feature file', () => {
  it('gives back every embedding to the last bit, in the order asked for', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'features.parquet');
      await writeRows(path);
      const matrix = await readFeatures([path], [rows[2]?.sha256 ?? '', rows[0]?.sha256 ?? '']);
      expect(matrix.subarray(0, backboneFeatures)).toEqual(rows[2]?.embedding);
      expect(matrix.subarray(backboneFeatures)).toEqual(rows[0]?.embedding);
    }));

  it('holds a string and a list of 32-bit floats, as any Parquet reader sees them', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'features.parquet');
      await writeRows(path);
      const file = await asyncBufferFromFile(path);
      const metadata = await parquetMetadataAsync(file);
      const [sha256, embedding] = parquetSchema(metadata).children;
      expect(sha256?.element).toMatchObject({ name: 'image_sha256', type: 'BYTE_ARRAY', converted_type: 'UTF8' });
      expect(embedding?.element).toMatchObject({ name: 'embedding', converted_type: 'LIST' });
      expect(embedding?.children[0]?.children[0]?.element).toMatchObject({ name: 'element', type: 'FLOAT' });
      expect(metadata.key_value_metadata).toContainEqual({
        key: 'perennial.backbone',
        value: JSON.stringify({
          name: 'efficientnet-lite0',
          digest: backboneDigest,
          preprocessing: currentPreprocessing,
          runtime: featureRuntime,
        }),
      });
      expect(await parquetReadObjects({ file })).toHaveLength(3);
    }));

  it('appears only when it is complete', () =>
    withFolder(async (folder) => {
      const writer = createFeatureWriter(join(folder, 'features.parquet'), 'efficientnet-lite0');
      writer.write([rows[0]?.sha256 ?? ''], [rows[0]?.embedding ?? new Float32Array()]);
      expect(await readdir(folder)).not.toContain('features.parquet');
      await writer.close();
      expect(await readdir(folder)).toEqual(['features.parquet']);
    }));

  it('is refused when it comes from another backbone', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'features.parquet');
      await writeRows(path);
      const bytes = await readFile(path);
      const at = bytes.indexOf(backboneDigest);
      await writeFile(path, bytes.fill('0', at, at + 8));
      await expect(readFeatures([path], [])).rejects.toMatchObject({ code: 'conflict' });
    }));

  it('is refused when its images were decoded in another way, as by earlier releases', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'features.parquet');
      await writeRows(path);
      const bytes = await readFile(path);
      bytes.write('1', bytes.indexOf(`"preprocessing":${currentPreprocessing}`) + '"preprocessing":'.length);
      await writeFile(path, bytes);
      await expect(readFeatures([path], [])).rejects.toMatchObject({ code: 'conflict' });
    }));

  it('is refused when another runtime computed it, such as TF.js in earlier releases', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'features.parquet');
      await writeRows(path);
      const bytes = await readFile(path);
      // A key of the same length that no reader knows: the file has no runtime.
      bytes.write('"earlier"', bytes.indexOf('"runtime"'));
      await writeFile(path, bytes);
      const reading = readFeatures([path], []);
      await expect(reading).rejects.toMatchObject({ code: 'conflict' });
      await expect(reading).rejects.toThrow('runtime tfjs');
    }));

  it('names the image that it lacks', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'features.parquet');
      await writeRows(path);
      const reading = readFeatures([path], ['absent']);
      await expect(reading).rejects.toMatchObject({ code: 'not_found' });
      await expect(reading).rejects.toThrow('absent');
    }));
});
