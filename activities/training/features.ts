import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { currentPreprocessing } from '../../contracts/registry/bundle.js';
import { backboneDigest, featureRuntime } from '../../model/architectures/backbone-digest.js';
import type { ImageFile, JobProgress } from '../../model/jobs.js';
import type { FeatureKind } from '../../stores/features/features.js';
import { featureFileKey } from '../../stores/objects/object-keys.js';
import { hashFile } from '../../platform/hash-file.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import { withScratchFolder } from '../runtime/scratch.js';
import type { FittingDependencies } from './dependencies.js';
import { fetchImages } from './inputs.js';

/** Images in a Parquet file: a killed run loses the embeddings of one file at most. */
const imagesPerFile = 512;

/** The embeddings that training uses. */
export const currentFeatures: FeatureKind = {
  backbone: backboneDigest,
  preprocessing: currentPreprocessing,
  runtime: featureRuntime,
};

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
export async function extractFeatures(deps: FittingDependencies, input: FeaturesInput): Promise<FeaturesResult> {
  const examples = await deps.datasets.examples(input.dataset, input.datasetVersion);
  const missing = await deps.features.missing(
    currentFeatures,
    examples.map((example) => example.sha256),
  );
  if (missing.length > 0) await embedMissing(deps, input.runId, missing);
  return { images: examples.length, newFeatures: missing.length };
}

/**
 * Embeds images file by file, in the trainer process of the fit that follows. The next images are downloaded and the last
 * file is stored meanwhile.
 */
async function embedMissing(deps: FittingDependencies, runId: string, missing: readonly string[]): Promise<void> {
  await withHeartbeat((report, signal) =>
    withScratchFolder(deps.scratchFolder, (folder) =>
      deps.trainers.lend(
        async (trainer) => {
          const fetchFrom = (from: number): Promise<ImageFile[]> =>
            fetchImages(deps, missing.slice(from, from + imagesPerFile), join(folder, String(from)), signal);
          let next = fetchFrom(0);
          let recording: Promise<void> = Promise.resolve();
          try {
            for (let from = 0; from < missing.length; from += imagesPerFile) {
              const images = await next;
              next = fetchFrom(from + imagesPerFile);
              // Handled when it is awaited.
              next.catch(() => undefined);
              const onProgress = ({ done }: JobProgress): void => report({ embedded: from + done, of: missing.length });
              const outputPath = join(folder, String(from), 'features.parquet');
              await trainer.run({ kind: 'embed', images, outputPath }, { signal, onProgress });
              await recording;
              recording = recordFile(deps, { runId, images, outputPath });
              // Handled when it is awaited.
              recording.catch(() => undefined);
            }
            await recording;
          } finally {
            // The folder is deleted after this.
            await Promise.allSettled([next, recording]);
          }
        },
        { isFollowed: true },
      ),
    ),
  );
}

/** Stores a file of embeddings, while the next one is computed, and deletes its folder with the images. */
async function recordFile(
  deps: FittingDependencies,
  { runId, images, outputPath }: { runId: string; images: readonly ImageFile[]; outputPath: string },
): Promise<void> {
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
  await rm(dirname(outputPath), { recursive: true });
}
