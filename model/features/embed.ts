import { loadBackbone } from '../architectures/backbone.js';
import { backboneFeatures } from '../architectures/backbone-digest.js';
import { encodeFeatureExtractor } from '../export/onnx-graph.js';
import type { EmbedJob, JobEvents, ModelJobResults } from '../jobs.js';
import { createFeatureWriter } from './feature-file.js';
import { extractEach, type ExtractionOptions } from './feature-threads.js';

/** Rows per Parquet row group: enough for efficient reads. */
const rowsPerGroup = 256;

/** Computes the embedding of each image and writes them, in order, to one Parquet file. */
export async function embedImages(
  { images, outputPath }: EmbedJob,
  events: JobEvents,
  options?: ExtractionOptions,
): Promise<ModelJobResults['embed']> {
  const { name, operations, weights } = await loadBackbone();
  const graph = encodeFeatureExtractor(operations, weights);
  const embeddings = await extractEach(graph, images, events, options);
  const writer = createFeatureWriter(outputPath, name);
  for (let from = 0; from < images.length; from += rowsPerGroup) {
    const sha256s = images.slice(from, from + rowsPerGroup).map(({ sha256 }) => sha256);
    writer.write(sha256s, embeddings.slice(from, from + rowsPerGroup));
  }
  await writer.close();
  return { images: images.length, dimensions: backboneFeatures };
}
