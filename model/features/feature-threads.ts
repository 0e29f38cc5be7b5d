import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { isErrorCode, PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { shareBytes } from '../share-bytes.js';
import type { ImageFile, JobEvents } from '../jobs.js';

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
  const running = Array.from({ length: Math.min(threads, images.length) }, () => startThread(shared));
  const features: Float32Array[] = [];
  const remaining = images.entries();
  let done = 0;
  let hasFailed = false;
  const lane = async (thread: FeatureThread): Promise<void> => {
    for (const [index, image] of remaining) {
      features[index] = await thread.extract(image).catch((error: unknown) => {
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

interface FeatureThread {
  extract(image: ImageFile): Promise<Float32Array>;
  end(): Promise<void>;
}

/** A thread's answer to an image. Answers come in the order of the images. */
export const featureAnswerSchema = z.union([
  z.object({ features: z.instanceof(Float32Array) }),
  z.object({ code: z.custom<ErrorCode>(isErrorCode), message: z.string() }),
]);
export type FeatureAnswer = z.infer<typeof featureAnswerSchema>;

interface Waiting {
  resolve: (features: Float32Array) => void;
  reject: (error: Error) => void;
}

function startThread(graph: Uint8Array): FeatureThread {
  const worker = new Worker(new URL('./feature-thread.js', import.meta.url), { workerData: { graph } });
  const waiting: Waiting[] = [];
  let failure: Error | null = null;
  const fail = (error: Error): void => {
    failure ??= error;
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  worker.on('error', fail);
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', () => {
      fail(new Error('The thread that computes features has ended.'));
      resolve();
    });
  });
  worker.on('message', (message) => {
    const answer = featureAnswerSchema.parse(message);
    const next = waiting.shift();
    if ('features' in answer) next?.resolve(answer.features);
    else next?.reject(new PerennialError(answer.code, answer.message));
  });
  return {
    extract: (image) =>
      new Promise((resolve, reject) => {
        if (failure !== null) throw failure;
        waiting.push({ resolve, reject });
        worker.postMessage(image);
      }),
    // A thread inside ONNX Runtime cannot be stopped: it ends when it has answered.
    async end() {
      worker.postMessage(null);
      await exited;
    },
  };
}
