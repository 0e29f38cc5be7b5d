import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import type { z } from 'zod';
import { bundleFiles, driftReferenceSchema, preprocessingSchema } from '../../../../contracts/registry/bundle.js';
import { modelMetricsSchema, type Hyperparameters } from '../../../../contracts/training/training.js';
import { checkParity, runOnnxModel, type ParitySample } from '../../../../model/export/parity.js';
import { packageModel } from '../../../../model/export/package-job.js';
import { withTfjsModel } from '../../../../model/export/tfjs-files.js';
import { pixelBytes } from '../../../../model/images/decode.js';
import { createRandom } from '../../../../model/seeded-random.js';
import { verifyBundle } from '../../../../model/serving/verify-bundle.js';
import { tf } from '../../../../model/tensorflow.js';
import { readJson } from '../../../../platform/validation/json-file.js';
import {
  createTransferSet,
  trainAndPackage,
  type PackagedModel,
  type Training,
} from '../../../support/packaged-model.js';
import { collectEvents, createImageSet, withFolder } from '../../../support/training-fixtures.js';

/** Trains and packages; fails when a tensor is left behind. */
async function makeBundle(training: Training, folder: string): Promise<PackagedModel> {
  const before = tf.memory().numTensors;
  const packaged = await trainAndPackage(training, folder);
  expect(tf.memory().numTensors).toBe(before);
  expect(packaged.manifest.weightsSha256).toBe(packaged.weightsSha256);
  return packaged;
}

/** A classifier that is packaged with the image files of its test split only. */
async function trainTransfer(folder: string): Promise<Training> {
  const training = await createTransferSet(folder, 10);
  const held = training.examples.filter(({ side }) => side === 'test').map(({ sha256 }) => sha256);
  return { ...training, images: training.images.filter(({ sha256 }) => held.includes(sha256)) };
}

/** Loads the layers model anew each time: it may have been changed. */
function parityOf(folder: string, sample: ParitySample): Promise<number> {
  return withTfjsModel(folder, (predict) => checkParity(folder, sample, predict));
}

async function read<T>(schema: z.ZodType<T>, folder: string, name: string): Promise<T> {
  return readJson(schema, await readFile(join(folder, name), 'utf8'));
}

/** Names of members at any depth. */
function namesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [
    ...(Array.isArray(value) ? [] : [name]),
    ...namesIn(member),
  ]);
}

describe('the bundle of a classifier on the backbone', () => {
  it('is complete, verified, small enough, and says what is in it', () =>
    withFolder(async (root) => {
      const { folder, manifest, metrics } = await makeBundle(await trainTransfer(root), root);
      expect(await verifyBundle(folder)).toEqual(manifest);
      expect(manifest.files.map(({ path }) => path).sort()).toEqual(
        Object.values(bundleFiles)
          .filter((path) => path !== bundleFiles.manifest && path !== bundleFiles.onnxInt8)
          .sort(),
      );
      expect((await stat(join(folder, bundleFiles.onnx))).size).toBeLessThan(15_000_000);
      expect(manifest.parityMaxAbsoluteError).toBeLessThan(1e-3);
      expect(await read(modelMetricsSchema, folder, bundleFiles.metrics)).toEqual(metrics);
      expect(metrics.test.images).toBe(2);
      expect(metrics.crossValidation?.accuracies).toHaveLength(5);
      expect(await read(preprocessingSchema, folder, bundleFiles.preprocessing)).toMatchObject({
        version: 3,
        mean: 127,
        std: 128,
      });
      for (const { path } of manifest.files.filter(({ path }) => /^[^/]+\.json$/.test(path))) {
        const names = namesIn(JSON.parse(await readFile(join(folder, path), 'utf8')));
        expect({ path, camelCase: names.filter((name) => /[A-Z]/.test(name)) }).toEqual({ path, camelCase: [] });
      }
      const reference = await read(driftReferenceSchema, folder, bundleFiles.driftReference);
      expect(reference.images).toBe(20);
      expect(reference.featureMean).toHaveLength(1280);
      expect(Object.values(reference.classShares).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
      const card = await readFile(join(folder, bundleFiles.modelCard), 'utf8');
      expect(card).toMatch(/\| class \| training \| validation \| test \|\n.*\n(\| .* \| \d+ \| \d+ \| 1 \|\n){2}/);
      for (const part of ['# flowers', '## Limits', '## Licences', 'Apache-2.0', metrics.test.accuracy.toFixed(3)]) {
        expect(card).toContain(part);
      }
    }));

  it('holds an ONNX graph of any batch size that fails parity when it is another model', () =>
    withFolder(async (root) => {
      const { folder } = await makeBundle(await trainTransfer(root), root);
      const random = createRandom(1);
      const pixels = Uint8Array.from({ length: 3 * pixelBytes }, () => random() * 256);
      const session = await InferenceSession.create(join(folder, bundleFiles.onnx));
      expect([session.inputNames, session.outputNames]).toEqual([
        ['image'],
        ['probabilities', 'features', 'class_activations'],
      ]);
      await session.release();
      const { probabilities, features } = await runOnnxModel(join(folder, bundleFiles.onnx), pixels, 3);
      expect([probabilities.length, features.length]).toEqual([6, 3840]);
      expect(await parityOf(folder, { pixels, count: 3, knownFeatures: [features.slice(0, 1280)] })).toBeLessThan(1e-3);
      const foreign = features.slice(0, 1280).map((value, index) => (index === 7 ? value + 1 : value));
      const withForeign = parityOf(folder, { pixels, count: 3, knownFeatures: [foreign] });
      await expect(withForeign).rejects.toMatchObject({ code: 'parity_failed' });
      const withOtherFeatures = withTfjsModel(folder, (predict) =>
        checkParity(folder, { pixels, count: 3, knownFeatures: [] }, (...images) => {
          const answers = predict(...images);
          return { ...answers, features: answers.features.map((value, index) => (index === 3000 ? value + 1 : value)) };
        }),
      );
      await expect(withOtherFeatures).rejects.toThrow('features of image 3');
      const weights = await readFile(join(folder, bundleFiles.tfjsWeights));
      weights.writeFloatLE(9, weights.length - 4);
      await writeFile(join(folder, bundleFiles.tfjsWeights), weights);
      await expect(parityOf(folder, { pixels, count: 3, knownFeatures: [] })).rejects.toMatchObject({
        code: 'parity_failed',
      });
    }));

  it('is refused with the checkpoint of another training', () =>
    withFolder(async (root) => {
      const { job } = await makeBundle(await trainTransfer(root), root);
      const other = { ...job, hyperparameters: { ...job.hyperparameters, seed: 1 }, outputFolder: join(root, 'other') };
      await expect(packageModel(other, collectEvents())).rejects.toMatchObject({ code: 'checkpoint_invalid' });
      expect(await readdir(root)).not.toContain('other');
    }));
});

describe('the bundle of a network trained on images', () => {
  const networks: [string, Partial<Hyperparameters>, number][] = [
    ['cnn', { architecture: 'cnn', filters: [4, 4, 8], epochs: 2, batchSize: 4 }, 8],
    ['fine-tuned backbone', { fineTuneBlocks: 1, epochs: 1, batchSize: 4 }, 1280],
  ];
  it.each(networks)('holds the %s in both formats, in agreement', (_, hyperparameters, featureLength) =>
    withFolder(async (root) => {
      const training = await createImageSet(root, 5, hyperparameters);
      const { folder, metrics } = await makeBundle(training, root);
      await verifyBundle(folder);
      const random = createRandom(2);
      const pixels = Uint8Array.from({ length: 2 * pixelBytes }, () => random() * 256);
      const { probabilities, features } = await runOnnxModel(join(folder, bundleFiles.onnx), pixels, 2);
      const expected = await withTfjsModel(folder, (predict) => predict(pixels, 2));
      expected.probabilities.forEach((value, index) => {
        expect(probabilities[index]).toBeCloseTo(value, 4);
      });
      expect(features).toHaveLength(2 * featureLength);
      expect(metrics.crossValidation).toBeNull();
    }),
  );
});
