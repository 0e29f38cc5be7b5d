import { availableParallelism } from 'node:os';
import { z } from 'zod';
import type { ImageFile, JobEvents } from '../jobs.js';
import { shareBytes } from '../share-bytes.js';
import { startThread, type WorkerThread } from '../worker-thread.js';

/** Images under way in each thread: one in the network, and one that is decoded meanwhile. */
const imagesPerThread = 2;

export interface ExtractionOptions {
  /** Number of threads, one for each core by default. The features do not depend on it. */
  threads?: number;
}

/**
 * The features that a graph gives for each image, in order. Each thread has a session of its own that runs one image at
 * a time on one core: sessions that share cores wait for each other, and larger batches do not fit into the caches.
 */
export async function extractEach(
  graph: Uint8Array,
  images: readonly ImageFile[],
  events: Pick<JobEvents, 'onProgress'>,
  { threads = availableParallelism() }: ExtractionOptions = {},
): Promise<Float32Array[]> {
  const shared = shareBytes(graph);
  const running = Array.from({ length: Math.min(threads, images.length) }, () => startFeatureThread(shared));
  const features: Float32Array[] = [];
  const remaining = images.entries();
  let done = 0;
  let hasFailed = false;
  const lane = async (thread: FeatureThread): Promise<void> => {
    for (const [index, image] of remaining) {
      features[index] = await thread.ask(image).catch((error: unknown) => {
        hasFailed = true;
        throw error;
      });
      if (hasFailed) return;
      done += 1;
      events.onProgress({ type: 'progress', done, total: images.length, unit: 'images' });
    }
  };
  try {
    await Promise.all(running.flatMap((thread) => Array.from({ length: imagesPerThread }, () => lane(thread))));
    return features;
  } finally {
    await Promise.all(running.map((thread) => thread.end()));
  }
}

type FeatureThread = WorkerThread<ImageFile, Float32Array>;

function startFeatureThread(graph: Uint8Array): FeatureThread {
  return startThread(new URL('./feature-thread.js', import.meta.url), z.instanceof(Float32Array), { graph });
}
