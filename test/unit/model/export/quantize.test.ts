import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { bundleFiles, quantizationSchema, referencesSchema } from '../../../../contracts/registry/bundle.js';
import { hyperparametersSchema } from '../../../../contracts/training/training.js';
import { packageModel } from '../../../../model/export/package-job.js';
import { chooseQuantizationSample } from '../../../../model/export/quantization-sample.js';
import { runOnnxModel } from '../../../../model/export/parity.js';
import { embedImages } from '../../../../model/features/embed.js';
import { createJobRunner } from '../../../../model/run-job.js';
import { probeImages, probePixels } from '../../../../model/serving/probe.js';
import { verifyBundle } from '../../../../model/serving/verify-bundle.js';
import { readJson } from '../../../../platform/validation/json-file.js';
import { createTransferSet, trainAndPackage, type Training } from '../../../support/packaged-model.js';
import { flipByte } from '../../../support/tiny-bundle.js';
import { collectEvents, listPhotographs, testOnPhotographs, withFolder } from '../../../support/training-fixtures.js';

async function read<T>(schema: z.ZodType<T>, folder: string, name: string): Promise<T> {
  return readJson(schema, await readFile(join(folder, name), 'utf8'));
}

const probeSchema = z.object({ int8: z.array(z.array(z.number())).optional() });

describe('the bundle of a network that does as well in 8 bits', () => {
  it('holds it with its report, and is reproducible, also when it was quantized during the training', () =>
    withFolder(async (root) => {
      const { folder, job, manifest } = await trainAndPackage(await createTransferSet(root, 32), root);
      expect(await verifyBundle(folder)).toEqual(manifest);
      const report = await read(quantizationSchema, folder, bundleFiles.quantization);
      expect(report).toMatchObject({ passed: true, rangeImages: 32, images: 12 });
      const file = manifest.files.find(({ path }) => path === bundleFiles.onnxInt8);
      expect(file?.sizeBytes).toBe(report.sizeBytes);
      expect(report.sizeBytes).toBeLessThan(5_000_000);
      const { int8 } = await read(probeSchema, folder, bundleFiles.probe);
      const { probabilities } = await runOnnxModel(join(folder, bundleFiles.onnxInt8), probePixels(), probeImages);
      int8?.flat().forEach((value, at) => {
        expect(probabilities[at]).toBeCloseTo(value, 3);
      });
      expect(int8).toHaveLength(probeImages);
      const references = await read(referencesSchema, folder, bundleFiles.references);
      expect(references.unfamiliarAbove.int8).toBeGreaterThan(0);
      expect(await readFile(join(folder, bundleFiles.modelCard), 'utf8')).toContain('32 training images');
      const again = await packageModel({ ...job, outputFolder: join(root, 'again') }, collectEvents());
      expect(again.manifest.files).toEqual(manifest.files);
      const ahead = join(root, 'ahead');
      const ranges = chooseQuantizationSample(job.examples).ranges;
      const images = ranges.flatMap((sha256) => job.images.filter((image) => image.sha256 === sha256));
      const training = {
        ...job,
        kind: 'train',
        checkpointPath: null,
        outputFolder: join(root, 'training again'),
      } as const;
      await createJobRunner()({ ...training, quantizeAhead: { images, cacheFolder: ahead } }, collectEvents());
      const [layers = ''] = await readdir(ahead);
      const { mtimeMs } = await stat(join(ahead, layers));
      const after = await packageModel(
        { ...job, cacheFolder: ahead, outputFolder: join(root, 'packaged after') },
        collectEvents(),
      );
      expect(after.manifest.files).toEqual(manifest.files);
      expect((await stat(join(ahead, layers))).mtimeMs).toBe(mtimeMs);
      await flipByte(folder, bundleFiles.onnxInt8);
      await expect(verifyBundle(folder)).rejects.toMatchObject({
        code: 'bundle_invalid',
        details: { file: bundleFiles.onnxInt8 },
      });
    }));
});

testOnPhotographs('a network for photographs does as well in 8 bits', () =>
  withFolder(async (root) => {
    const photographs = await listPhotographs(40);
    const images = photographs.map(({ image }) => image);
    const outputPath = join(root, 'features.parquet');
    await embedImages({ kind: 'embed', images, outputPath }, collectEvents());
    const splitsInTurn = ['validation', 'test', 'train', 'train'] as const;
    const { folder } = await trainAndPackage(
      {
        kind: 'train',
        hyperparameters: hyperparametersSchema.parse({}),
        labels: [...new Set(photographs.map(({ label }) => label))].sort(),
        examples: photographs.map(({ label, image }, index) => ({
          sha256: image.sha256,
          label,
          side: splitsInTurn[index % splitsInTurn.length] ?? 'train',
        })),
        featurePaths: [outputPath],
        images,
      },
      root,
    );
    const report = await read(quantizationSchema, folder, bundleFiles.quantization);
    expect(report).toMatchObject({ passed: true, rangeImages: 32, images: 20 });
    expect(report.meanAbsoluteDifference).toBeLessThan(0.015);
  }),
);

describe('a training whose network cannot be brought to 8 bits', () => {
  /** Packages and gives the reasons why there is no 8-bit network. */
  async function reasonsOf(training: Training, root: string): Promise<string> {
    const { folder, manifest } = await trainAndPackage(training, root);
    expect(await verifyBundle(folder)).toEqual(manifest);
    expect(manifest.files.map(({ path }) => path)).not.toContain(bundleFiles.onnxInt8);
    expect((await read(probeSchema, folder, bundleFiles.probe)).int8).toBeUndefined();
    expect((await read(referencesSchema, folder, bundleFiles.references)).unfamiliarAbove.int8).toBeNull();
    expect(await readFile(join(folder, bundleFiles.modelCard), 'utf8')).toContain('served in 32 bits');
    const { passed, reasons } = await read(quantizationSchema, folder, bundleFiles.quantization);
    expect(passed).toBe(false);
    return reasons.join(' ');
  }

  it('succeeds without int8, and reports that the images were too few', () =>
    withFolder(async (root) => {
      const training = await createTransferSet(root, 8);
      expect(await reasonsOf(training, root)).toContain('at least 10 are needed');
    }));

  it('succeeds without int8, and reports the image that could not be read', () =>
    withFolder(async (root) => {
      const training = await createTransferSet(root, 8);
      const { sha256 } = training.examples.find(({ side }) => side === 'train') ?? { sha256: '' };
      await writeFile(join(root, 'images', sha256), 'not an image any more');
      expect(await reasonsOf(training, root)).toContain(sha256);
    }));
});
