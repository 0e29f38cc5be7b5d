import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { isHuge } from '../../model/images/decoding-work.js';
import type { ImageLimits } from '../../model/images/header.js';
import type { Inspection } from '../../model/images/inspect.js';
import { oneByOne } from '../../model/one-by-one.js';
import { startThread, type WorkerThread } from '../../model/worker-thread.js';
import { createLimiter } from '../../platform/concurrently.js';
import type { ImageQuestion } from './image-thread.js';
import type { FileToRead } from './read-file.js';
import type { SourceBytes } from './source-bytes.js';

/** Images under way in each thread: while one is decoded, the thread hashes and reduces another. */
const imagesPerThread = 2;

/** Threads that are idle for so long are ended: longer than an ingestion takes between two batches. */
const idleMs = 30_000;

/** Reads files and inspects images on all cores. */
export interface ImageThreads {
  /** Starts the threads, which takes as long as many images, while others still look for images. */
  warm(): void;
  /** As `readBelow`. */
  read(file: FileToRead): Promise<SourceBytes>;
  /** As `inspectImage`. The image is copied. */
  inspect(bytes: Uint8Array, limits: ImageLimits): Promise<Inspection>;
}

type ImageThread = WorkerThread<ImageQuestion, unknown>;

export function createImageThreads(threads = availableParallelism()): ImageThreads {
  let running: ImageThread[] = [];
  let idle: NodeJS.Timeout | undefined;
  const inspecting = createLimiter(threads * imagesPerThread);
  const amongHuge = oneByOne();
  const warm = (): void => {
    running = running.filter((thread) => !thread.hasEnded());
    while (running.length < threads) running.push(startImageThread());
    clearTimeout(idle);
    idle = setTimeout(endIdle, idleMs).unref();
  };
  const endIdle = (): void => {
    if (running.some((thread) => thread.waiting() > 0)) warm();
    else for (const thread of running.splice(0)) void thread.end();
  };
  const freest = (): ImageThread => {
    warm();
    return running.reduce((free, each) => (each.waiting() < free.waiting() ? each : free));
  };
  const inspect = async (bytes: Uint8Array, limits: ImageLimits): Promise<Inspection> => {
    const copy = new Uint8Array(bytes);
    return inspectionSchema.parse(await freest().ask({ kind: 'inspect', bytes: copy, limits }, [copy.buffer]));
  };
  return {
    warm,
    read: async (file) => sourceBytesSchema.parse(await freest().ask({ kind: 'read', ...file })),
    // Each of several threads would decode a huge image, which can take hundreds of megabytes.
    inspect: (bytes, limits) =>
      isHuge(bytes) ? amongHuge(() => inspect(bytes, limits)) : inspecting(() => inspect(bytes, limits)),
  };
}

// The threads are of this process and this code: their answers need no further check.
const inspectionSchema = z.custom<Inspection>((value) => typeof value === 'object');
const sourceBytesSchema = z.custom<SourceBytes>((value) => typeof value === 'object');

function startImageThread(): ImageThread {
  return startThread(new URL('./image-thread.js', import.meta.url), z.unknown());
}
