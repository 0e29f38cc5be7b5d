import { loadBackbone } from '../architectures/backbone.js';
import { backboneFeatures } from '../architectures/backbone-digest.js';
import { encodeFeatureExtractor } from '../export/onnx-graph.js';
import type { EmbedJob, JobEvents, ModelJobResults } from '../jobs.js';
import { createFeatureWriter, type FeatureWriter } from './feature-file.js';
import { createExtractor, type ExtractionOptions } from './feature-threads.js';

/** Rows per Parquet row group: few, because one is written while the rows of the next are computed. */
const rowsPerGroup = 64;

/** Computes embeddings. It keeps its threads for the next job. */
export interface Embedder {
  /** Computes the embedding of each image and writes them, in order, to one Parquet file. */
  embed(job: EmbedJob, events: JobEvents): Promise<ModelJobResults['embed']>;
  end(): Promise<void>;
}

export function createEmbedder(options?: ExtractionOptions): Embedder {
  let name = '';
  const extractor = createExtractor(async () => {
    const backbone = await loadBackbone();
    name = backbone.name;
    return encodeFeatureExtractor(backbone.operations, backbone.weights);
  }, options);
  return {
    async embed({ images, outputPath }, events) {
      const sha256s = images.map(({ sha256 }) => sha256);
      const rows: Float32Array[] = [];
      let writer: FeatureWriter | null = null;
      const opened = (): FeatureWriter => (writer ??= createFeatureWriter(outputPath, name));
      let [known, written] = [0, 0];
      await extractor.extract(images, events, (index, features) => {
        rows[index] = features;
        while (rows[known]) known += 1;
        if (known - written < rowsPerGroup && known < images.length) return;
        opened().write(sha256s.slice(written, known), rows.slice(written, known));
        written = known;
      });
      await opened().close();
      return { images: images.length, dimensions: backboneFeatures };
    },
    end: () => extractor.end(),
  };
}

/** One job of a new embedder. */
export async function embedImages(
  job: EmbedJob,
  events: JobEvents,
  options?: ExtractionOptions,
): Promise<ModelJobResults['embed']> {
  const embedder = createEmbedder(options);
  try {
    return await embedder.embed(job, events);
  } finally {
    await embedder.end();
  }
}
