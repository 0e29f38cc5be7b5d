import { availableParallelism } from 'node:os';
import { errorCodeOf } from '../../contracts/errors.js';
import { identifyIngested } from '../../model/images/inspect.js';
import { concurrently } from '../../platform/concurrently.js';
import type { Report } from '../runtime/heartbeat.js';
import type { IngestionDependencies } from './dependencies.js';

const imagesAtOnce = 64;

/** Reads the pixels of images of the dataset that an earlier release ingested. It costs time once. */
export async function identifyPixels(
  { pixels, objects }: Pick<IngestionDependencies, 'pixels' | 'objects'>,
  dataset: string,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  for (let identified = 0; ;) {
    const images = await pixels.unidentified(dataset, imagesAtOnce);
    if (images.length === 0) return;
    await concurrently(
      images,
      availableParallelism(),
      async ({ sha256, objectKey }) => {
        const bytes = await bytesOf(objects, objectKey);
        await pixels.identify(sha256, bytes && (await identifyIngested(bytes)));
      },
      signal,
    );
    identified += images.length;
    report({ identified });
  }
}

/** Null when the object is missing, which other steps report. */
async function bytesOf(objects: IngestionDependencies['objects'], key: string): Promise<Uint8Array | null> {
  try {
    return await objects.get(key);
  } catch (error) {
    if (errorCodeOf(error) === 'not_found') return null;
    throw error;
  }
}
