import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { startThread, type WorkerThread } from '../worker-thread.js';
import type { ImageLimits } from './header.js';
import type { Inspection } from './inspect.js';

/** Images under way in each thread: while one is decoded, the thread hashes and reduces another. */
const imagesPerThread = 2;

/** Threads that are idle for so long are ended: longer than an ingestion takes between two batches. */
const idleMs = 30_000;

/** Inspects images on all cores. */
export interface InspectionThreads {
  /** Most images that are inspected at once; more would only wait in memory. */
  atOnce: number;
  /** Starts the threads, which takes as long as many images, while others still look for images. */
  warm(): void;
  /** As `inspectImage`. The image is copied. */
  inspect(bytes: Uint8Array, limits: ImageLimits): Promise<Inspection>;
}

type InspectionThread = WorkerThread<{ bytes: Uint8Array; limits: ImageLimits }, Inspection>;

export function createInspectionThreads(threads = availableParallelism()): InspectionThreads {
  let running: InspectionThread[] = [];
  let idle: NodeJS.Timeout | undefined;
  const warm = (): void => {
    running = running.filter((thread) => !thread.hasEnded());
    while (running.length < threads) running.push(startInspectionThread());
    clearTimeout(idle);
    idle = setTimeout(endIdle, idleMs).unref();
  };
  const endIdle = (): void => {
    if (running.some((thread) => thread.waiting() > 0)) {
      warm();
      return;
    }
    for (const thread of running.splice(0)) void thread.end();
  };
  return {
    atOnce: threads * imagesPerThread,
    warm,
    async inspect(bytes, limits) {
      warm();
      const [first, ...others] = running;
      if (!first) throw new Error('There is no thread to inspect images.');
      const thread = others.reduce((free, each) => (each.waiting() < free.waiting() ? each : free), first);
      const copy = new Uint8Array(bytes);
      return thread.ask({ bytes: copy, limits }, [copy.buffer]);
    },
  };
}

// The threads are of this process and this code: their answers need no check.
const inspectionSchema = z.custom<Inspection>((value) => typeof value === 'object');

function startInspectionThread(): InspectionThread {
  return startThread(new URL('./inspection-thread.js', import.meta.url), inspectionSchema);
}
