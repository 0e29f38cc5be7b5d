import { availableParallelism } from 'node:os';
import { z } from 'zod';
import type { ImageFile, JobEvents } from '../jobs.js';
import { shareBytes } from '../share-bytes.js';
import { startThread, type WorkerThread } from '../worker-thread.js';
import type { FeatureQuestion } from './feature-thread.js';

/** Images under way in each thread: one in the network, and one that is decoded meanwhile. */
const imagesPerThread = 2;

export interface ExtractionOptions {
  /** Number of threads, one for each core by default. The features do not depend on it. */
  threads?: number;
}

/** Threads that compute features with one graph. */
export interface Extractor {
  /** The features of each image, in order; `onRow` has each as soon as it is known. */
  extract(
    images: readonly ImageFile[],
    events: Pick<JobEvents, 'onProgress'>,
    onRow?: (index: number, features: Float32Array) => void,
  ): Promise<Float32Array[]>;
  end(): Promise<void>;
}

/**
 * Each thread has a session of its own that runs one image at a time on one core: sessions that share cores wait for each
 * other, and larger batches do not fit into the caches. The threads start while `loadGraph` is at work.
 */
export function createExtractor(
  loadGraph: () => Promise<Uint8Array>,
  { threads = availableParallelism() }: ExtractionOptions = {},
): Extractor {
  const running: FeatureThread[] = [];
  let graph: Promise<Uint8Array> | null = null;
  const start = async (count: number): Promise<void> => {
    const added = Array.from({ length: Math.min(threads, count) - running.length }, startFeatureThread);
    running.push(...added);
    const bytes = await (graph ??= loadGraph().then(shareBytes));
    await Promise.all(added.map((thread) => thread.ask({ kind: 'load', graph: bytes })));
  };
  return {
    async extract(images, { onProgress }, onRow) {
      await start(images.length);
      const features: Float32Array[] = [];
      const remaining = images.entries();
      let done = 0;
      let hasFailed = false;
      const featuresOf = async (thread: FeatureThread, { sha256, path }: ImageFile): Promise<Float32Array> => {
        try {
          return rowSchema.parse(await thread.ask({ kind: 'image', sha256, path }));
        } catch (error) {
          hasFailed = true;
          throw error;
        }
      };
      const lane = async (thread: FeatureThread): Promise<void> => {
        for (const [index, image] of remaining) {
          const row = await featuresOf(thread, image);
          if (hasFailed) return;
          features[index] = row;
          onRow?.(index, row);
          done += 1;
          onProgress({ type: 'progress', done, total: images.length, unit: 'images' });
        }
      };
      const lanes = running.flatMap((thread) => Array.from({ length: imagesPerThread }, () => lane(thread)));
      await Promise.all(lanes);
      return features;
    },
    async end() {
      await Promise.all(running.splice(0).map((thread) => thread.end()));
    },
  };
}

type FeatureThread = WorkerThread<FeatureQuestion, unknown>;
const rowSchema = z.instanceof(Float32Array);

function startFeatureThread(): FeatureThread {
  return startThread(new URL('./feature-thread.js', import.meta.url), z.unknown());
}

/** The features that a graph gives for each image, in order. */
export async function extractEach(
  graph: Uint8Array,
  images: readonly ImageFile[],
  events: Pick<JobEvents, 'onProgress'>,
): Promise<Float32Array[]> {
  const extractor = createExtractor(() => Promise.resolve(graph));
  try {
    return await extractor.extract(images, events);
  } finally {
    await extractor.end();
  }
}
