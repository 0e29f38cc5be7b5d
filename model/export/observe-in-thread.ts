import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Operation, Weights } from '../architectures/network.js';
import type { ImageFile } from '../jobs.js';
import type { Observed } from './observe-activations.js';

/** Input of the thread. It comes from its parent only, so its contents are not validated further. */
export const observationSchema = z.object({
  operations: z.custom<readonly Operation[]>(Array.isArray),
  weights: z.custom<Weights>((value) => value instanceof Map),
  images: z.custom<readonly ImageFile[]>(Array.isArray),
});

const observedSchema = z.tuple([z.custom<Map<string, Observed>>((value) => value instanceof Map)]);

/**
 * Runs `observeActivations` in a worker thread: ONNX Runtime blocks the thread that calls it, and TensorFlow can use
 * the other core meanwhile. A thread inside ONNX Runtime cannot be stopped: it ends when it has finished.
 */
export async function observeInThread(input: z.infer<typeof observationSchema>): Promise<Map<string, Observed>> {
  const worker = new Worker(new URL('./observe-thread.js', import.meta.url), { workerData: input });
  const [observed] = observedSchema.parse(await once(worker, 'message'));
  return observed;
}
