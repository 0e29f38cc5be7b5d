import { setImmediate } from 'node:timers/promises';
import { inputSize } from '../../contracts/training/training.js';
import { loadBackbone, type Backbone } from '../architectures/backbone.js';
import { backboneFeatures } from '../architectures/backbone-digest.js';
import { createTensors, disposeTensors, type NetworkTensors } from '../architectures/network-tensors.js';
import { runNetwork, scaleImages } from '../architectures/run-network.js';
import type { EmbedJob, JobEvents, ModelJobResults } from '../jobs.js';
import { tf } from '../tensorflow.js';
import { decodeBatches } from './decode-batches.js';
import { createFeatureWriter } from './feature-file.js';

/** Rows per Parquet row group: few enough to encode without a noticeable pause, enough for efficient reads. */
const rowsPerGroup = 256;

/** Computes the embedding of each image and writes them, in order, to one Parquet file. */
export async function embedImages(job: EmbedJob, events: JobEvents): Promise<ModelJobResults['embed']> {
  const backbone = await loadBackbone();
  const tensors = createTensors(backbone.weights);
  const writer = createFeatureWriter(job.outputPath, backbone.name);
  let pending: { sha256: string; embedding: Float32Array }[] = [];
  const flush = (): void => {
    writer.write(
      pending.map((row) => row.sha256),
      pending.map((row) => row.embedding),
    );
    pending = [];
  };
  try {
    let done = 0;
    for await (const { images, pixels } of decodeBatches(job.images, job.batchSize)) {
      const embeddings = computeEmbeddings(backbone, tensors, pixels, images.length);
      images.forEach(({ sha256 }, row) => {
        pending.push({ sha256, embedding: rowOf(embeddings, row) });
      });
      if (pending.length >= rowsPerGroup) flush();
      done += images.length;
      events.onProgress({ type: 'progress', done, total: job.images.length, unit: 'images' });
      await setImmediate();
    }
    if (pending.length > 0) flush();
  } finally {
    disposeTensors(tensors);
  }
  await writer.close();
  return { images: job.images.length, dimensions: backboneFeatures };
}

/** Embeddings of `count` images of RGB 0–255 pixels, `backboneFeatures` numbers each, one after another. */
export function computeEmbeddings(
  backbone: Backbone,
  tensors: NetworkTensors,
  pixels: Uint8Array,
  count: number,
): Float32Array {
  const features = tf.tidy(() => {
    const images = tf.tensor4d(pixels, [count, inputSize, inputSize, 3], 'int32').toFloat();
    return runNetwork(backbone.operations, tensors, scaleImages(images));
  });
  const embeddings = Float32Array.from(features.dataSync());
  features.dispose();
  return embeddings;
}

function rowOf(embeddings: Float32Array, row: number): Float32Array {
  return embeddings.subarray(row * backboneFeatures, (row + 1) * backboneFeatures);
}
