import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { backboneFeatures } from '../../../../model/architectures/backbone-digest.js';
import { assembleNetwork } from '../../../../model/architectures/trained-network.js';
import { createClassifierWeights } from '../../../../model/architectures/starting-weights.js';
import { encodeOnnx } from '../../../../model/export/onnx-graph.js';
import { relativeError, runOnnxModel } from '../../../../model/export/parity.js';
import { decodeBatches } from '../../../../model/features/decode-batches.js';
import { embedImages } from '../../../../model/features/embed.js';
import { readFeatures } from '../../../../model/features/feature-file.js';
import type { EmbedJob, ImageFile } from '../../../../model/jobs.js';
import { tf } from '../../../../model/tensorflow.js';
import {
  collectEvents,
  createImageSet,
  listPhotographs,
  testOnPhotographs,
  withFolder,
} from '../../../support/training-fixtures.js';

/** Embeds the images and gives the largest relative difference to ONNX Runtime on the exported graph. */
async function compareWithOnnx(folder: string, images: ImageFile[]): Promise<number> {
  const outputPath = join(folder, 'features.parquet');
  await embedImages({ kind: 'embed', images, outputPath, batchSize: 4 }, collectEvents());
  const embeddings = await readFeatures(
    [outputPath],
    images.map(({ sha256 }) => sha256),
  );
  const network = await assembleNetwork('efficientnet-lite0', createClassifierWeights(backboneFeatures, 2, 1));
  const modelPath = join(folder, 'model.onnx');
  await writeFile(modelPath, encodeOnnx(network.operations, network.weights));
  const errors: number[] = [];
  for await (const { pixels } of decodeBatches(images, images.length)) {
    const { features } = await runOnnxModel(modelPath, pixels, images.length);
    images.forEach((_, row) => {
      const range: [number, number] = [row * backboneFeatures, (row + 1) * backboneFeatures];
      errors.push(relativeError(embeddings.subarray(...range), features.subarray(...range)));
    });
  }
  expect(errors).toHaveLength(images.length);
  return Math.max(...errors);
}

describe('embedding', () => {
  it('gives the features that ONNX Runtime computes on the exported graph, and leaves no tensor behind', () =>
    withFolder(async (folder) => {
      const before = tf.memory().numTensors;
      const { images } = await createImageSet(folder, 3, {});
      expect(await compareWithOnnx(folder, images)).toBeLessThan(1e-3);
      expect(tf.memory().numTensors).toBe(before);
    }));

  testOnPhotographs('agrees with ONNX Runtime on photographs', () =>
    withFolder(async (folder) => {
      const photographs = await listPhotographs(8);
      const images = photographs.map(({ image }) => image);
      expect(await compareWithOnnx(folder, images)).toBeLessThan(1e-3);
    }),
  );

  it('names the image that cannot be decoded', () =>
    withFolder(async (folder) => {
      const { images } = await createImageSet(folder, 1, {});
      const path = join(folder, 'text.jpg');
      await writeFile(path, 'not an image');
      const job: EmbedJob = {
        kind: 'embed',
        images: [...images, { sha256: 'feed', path }],
        outputPath: join(folder, 'f'),
        batchSize: 2,
      };
      const embedding = embedImages(job, collectEvents());
      await expect(embedding).rejects.toMatchObject({ code: 'unsupported_type' });
      await expect(embedding).rejects.toThrow('feed');
    }));
});
