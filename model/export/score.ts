import { usesStoredFeatures } from '../architectures/backbone-digest.js';
import { classifierOperation } from '../architectures/cnn.js';
import { createTensors, disposeTensors } from '../architectures/network-tensors.js';
import { runNetwork } from '../architectures/run-network.js';
import type { TrainedNetwork } from '../architectures/trained-network.js';
import { readFeatures } from '../features/feature-file.js';
import { extractEach } from '../features/feature-threads.js';
import { joinRows, splitRows } from '../features/rows.js';
import type { ImageFile, JobEvents, PackageJob } from '../jobs.js';
import { tf } from '../tensorflow.js';
import { encodeFeatureExtractor } from './onnx-graph.js';

/** Features and logits of images, row by row. */
export interface Scores {
  /** All features as one matrix, and its rows. */
  matrix: Float32Array;
  features: Float32Array[];
  logits: number[][];
}

/** Scores all images of a job: from stored features if the network uses them, else from the pixels. */
export async function scoreExamples(
  job: PackageJob,
  network: TrainedNetwork,
  sha256s: readonly string[],
  events: JobEvents,
): Promise<Scores> {
  const tensors = createTensors(network.weights);
  try {
    const matrix = usesStoredFeatures(job.hyperparameters)
      ? await readFeatures(job.featurePaths, sha256s)
      : await computeFeatures(network, imagesOf(job, sha256s), events);
    const logits = tf.tidy(() => {
      const features = tf.tensor2d(matrix, [sha256s.length, matrix.length / sha256s.length]);
      return runNetwork([classifierOperation], tensors, features);
    });
    const values = Float32Array.from(logits.dataSync());
    logits.dispose();
    return {
      matrix,
      features: splitRows(matrix, sha256s.length),
      logits: splitRows(values, sha256s.length).map((row) => Array.from(row)),
    };
  } finally {
    disposeTensors(tensors);
  }
}

/** With the runtime that serves them, so that the metrics are about what is served. */
async function computeFeatures(
  { featureOperations, weights }: TrainedNetwork,
  images: readonly ImageFile[],
  events: JobEvents,
): Promise<Float32Array> {
  return joinRows(await extractEach(encodeFeatureExtractor(featureOperations, weights), images, events));
}

/** The image files in the order of `sha256s`. Throws when one is not among the job's images. */
function imagesOf(job: PackageJob, sha256s: readonly string[]): ImageFile[] {
  const bySha256 = new Map(job.images.map((image) => [image.sha256, image]));
  return sha256s.map((sha256) => {
    const image = bySha256.get(sha256);
    if (!image) throw new Error(`The job lists example ${sha256} without its image file.`);
    return image;
  });
}
