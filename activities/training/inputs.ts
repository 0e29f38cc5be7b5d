import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Example } from '../../contracts/datasets/datasets.js';
import type { ImageFile } from '../../model/jobs.js';
import { rawImageKey } from '../../stores/objects/object-keys.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { FeatureKind, FeatureStore } from '../../stores/features/features.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { concurrently } from '../../platform/concurrently.js';
import type { Logger } from '../../platform/logging.js';

/** Concurrent downloads: enough to hide the latency of the object store without loading it. */
const downloadsAtOnce = 8;

/** Downloads the raw bytes of images into `folder`, one file each, named by its SHA-256. */
export async function fetchImages(
  { objects, datasets }: { objects: ObjectStore; datasets: DatasetStore },
  sha256s: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<ImageFile[]> {
  await mkdir(folder, { recursive: true });
  const facts = await datasets.imageFacts(sha256s);
  return concurrently(
    facts,
    downloadsAtOnce,
    async ({ sha256, md5 }) => {
      const path = join(folder, sha256);
      await objects.getToFile(rawImageKey(md5), path);
      return { sha256, path };
    },
    signal,
  );
}

/** As `fetchImages`. Empty when they cannot be downloaded: a training does not fail because it cannot be quantized. */
export async function fetchQuantizationImages(
  deps: { objects: ObjectStore; datasets: DatasetStore; logger: Logger },
  sha256s: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<ImageFile[]> {
  try {
    return await fetchImages(deps, sha256s, folder, signal);
  } catch (error) {
    signal.throwIfAborted();
    deps.logger.warn({ error }, 'images for quantization could not be fetched');
    return [];
  }
}

/** Downloads the feature files with the embeddings of the examples into `folder`. */
export async function fetchFeatures(
  { objects, features }: { objects: ObjectStore; features: FeatureStore },
  kind: FeatureKind,
  examples: readonly Example[],
  folder: string,
  signal: AbortSignal,
): Promise<string[]> {
  const files = await features.locate(
    kind,
    examples.map((example) => example.sha256),
  );
  return concurrently(
    files,
    downloadsAtOnce,
    async ({ objectKey, sha256 }) => {
      const path = join(folder, `${sha256}.parquet`);
      await objects.getToFile(objectKey, path);
      return path;
    },
    signal,
  );
}
