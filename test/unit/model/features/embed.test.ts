import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { z } from 'zod';
import { backboneFeatures, featureRuntime } from '../../../../model/architectures/backbone-digest.js';
import { assembleNetwork } from '../../../../model/architectures/trained-network.js';
import { createClassifierWeights } from '../../../../model/architectures/starting-weights.js';
import { encodeOnnx } from '../../../../model/export/onnx-graph.js';
import { relativeError, runOnnxModel } from '../../../../model/export/parity.js';
import { decodeBatches } from '../../../../model/features/decode-batches.js';
import { embedImages } from '../../../../model/features/embed.js';
import { readFeatures } from '../../../../model/features/feature-file.js';
import type { EmbedJob, ImageFile } from '../../../../model/jobs.js';
import { tfjsFeatures } from '../../../support/tfjs-features.js';
import {
  collectEvents,
  createImageSet,
  listPhotographs,
  testOnPhotographs,
  withFolder,
} from '../../../support/training-fixtures.js';

async function embed(folder: string, images: ImageFile[], threads = 2): Promise<Float32Array> {
  const outputPath = join(folder, 'features.parquet');
  await embedImages({ kind: 'embed', images, outputPath }, collectEvents(), { threads });
  return readFeatures(
    [outputPath],
    images.map(({ sha256 }) => sha256),
  );
}

/** Embeds the images and gives the largest relative difference to TF.js. */
async function compareWithTfjs(folder: string, images: ImageFile[]): Promise<number> {
  const embeddings = await embed(folder, images);
  const errors: number[] = [];
  for await (const { pixels } of decodeBatches(images, images.length)) {
    const features = await tfjsFeatures(pixels, images.length);
    images.forEach((_, row) => {
      const range: [number, number] = [row * backboneFeatures, (row + 1) * backboneFeatures];
      errors.push(relativeError(features.subarray(...range), embeddings.subarray(...range)));
    });
  }
  expect(errors).toHaveLength(images.length);
  return Math.max(...errors);
}

describe('embedding', () => {
  it('gives the features that TF.js computes', () =>
    withFolder(async (folder) => {
      const { images } = await createImageSet(folder, 3, {});
      expect(await compareWithTfjs(folder, images)).toBeLessThan(1e-3);
    }));

  testOnPhotographs('agrees with TF.js on photographs', () =>
    withFolder(async (folder) => {
      const photographs = await listPhotographs(8);
      const images = photographs.map(({ image }) => image);
      expect(await compareWithTfjs(folder, images)).toBeLessThan(1e-3);
    }),
  );

  it('gives the same bits whatever the number of threads, and those that the served graph computes', () =>
    withFolder(async (folder) => {
      const { images } = await createImageSet(folder, 4, {});
      const embeddings = await embed(folder, images, 1);
      expect(await embed(folder, images, 2)).toEqual(embeddings);
      expect(await embed(folder, images, 5)).toEqual(embeddings);
      const network = await assembleNetwork('efficientnet-lite0', createClassifierWeights(backboneFeatures, 2, 1));
      const modelPath = join(folder, 'model.onnx');
      await writeFile(modelPath, encodeOnnx(network.operations, network.weights));
      for await (const { pixels } of decodeBatches(images, images.length))
        expect((await runOnnxModel(modelPath, pixels, images.length)).features).toEqual(embeddings);
    }));

  it('stores the version of the runtime that is installed', () => {
    const installed: unknown = createRequire(import.meta.url)('onnxruntime-node/package.json');
    const { name, version } = z.object({ name: z.string(), version: z.string() }).parse(installed);
    expect(featureRuntime).toBe(`${name.replace('-node', '')} ${version}`);
  });

  it('names the image that cannot be decoded', () =>
    withFolder(async (folder) => {
      const { images } = await createImageSet(folder, 1, {});
      const path = join(folder, 'text.jpg');
      await writeFile(path, 'not an image');
      const job: EmbedJob = {
        kind: 'embed',
        images: [...images, { sha256: 'feed', path }],
        outputPath: join(folder, 'f'),
      };
      const embedding = embedImages(job, collectEvents());
      await expect(embedding).rejects.toMatchObject({ code: 'unsupported_type' });
      await expect(embedding).rejects.toThrow('feed');
    }));
});
