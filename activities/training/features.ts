import { join } from 'node:path';
import { currentPreprocessing } from '../../contracts/registry/bundle.js';
import { backboneDigest } from '../../model/architectures/backbone-digest.js';
import type { FeatureKind } from '../../stores/features/features.js';
import { featureFileKey } from '../../stores/objects/object-keys.js';
import { hashFile } from '../../platform/hash-file.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import { runModelJob } from '../runtime/model-process.js';
import { withScratchFolder } from '../runtime/scratch.js';
import type { TrainingDependencies } from './dependencies.js';
import { fetchImages } from './inputs.js';

/** Images in a Parquet file: a killed run loses the embeddings of one file at most. */
const imagesPerFile = 512;
const embeddingBatchSize = 16;

/** The embeddings that training uses. */
export const currentFeatures: FeatureKind = { backbone: backboneDigest, preprocessing: currentPreprocessing };

export interface FeaturesInput {
  dataset: string;
  datasetVersion: number;
  runId: string;
}

export interface FeaturesResult {
  images: number;
  newFeatures: number;
}

/** Computes the missing embeddings of a dataset version. */
export async function extractFeatures(deps: TrainingDependencies, input: FeaturesInput): Promise<FeaturesResult> {
  const examples = await deps.datasets.examples(input.dataset, input.datasetVersion);
  const missing = await deps.features.missing(
    currentFeatures,
    examples.map((example) => example.sha256),
  );
  if (missing.length > 0) {
    await withHeartbeat(async (report, signal) => {
      for (let from = 0; from < missing.length; from += imagesPerFile) {
        report({ embedded: from, of: missing.length });
        await embedFile(deps, input.runId, missing.slice(from, from + imagesPerFile), signal);
      }
    });
  }
  return { images: examples.length, newFeatures: missing.length };
}

async function embedFile(
  deps: TrainingDependencies,
  runId: string,
  sha256s: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await withScratchFolder(deps.scratchFolder, async (folder) => {
    const images = await fetchImages(deps, sha256s, folder, signal);
    const outputPath = join(folder, 'features.parquet');
    await runModelJob(
      { kind: 'embed', images, outputPath, batchSize: embeddingBatchSize },
      { signal, logger: deps.logger },
    );
    const { sha256 } = await hashFile(outputPath);
    const objectKey = featureFileKey(backboneDigest, sha256);
    await deps.features.claim(objectKey);
    await deps.objects.putFile(objectKey, outputPath);
    await deps.features.add(currentFeatures, {
      objectKey,
      sha256,
      images: images.map((image) => image.sha256),
      runId,
    });
  });
}
