import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Operation, Weights } from '../architectures/network.js';
import type { ImageFile } from '../jobs.js';
import type { Observed } from './observe-activations.js';

/** What the thread is given. Only its own parent gives it anything: what is inside is looked at no closer. */
export const observationSchema = z.object({
  operations: z.custom<readonly Operation[]>(Array.isArray),
  weights: z.custom<Weights>((value) => value instanceof Map),
  images: z.custom<readonly ImageFile[]>(Array.isArray),
});

const observedSchema = z.tuple([z.custom<Map<string, Observed>>((value) => value instanceof Map)]);

/**
 * Does `observeActivations` in a thread beside this one: ONNX Runtime keeps the thread that calls it busy, and TensorFlow
 * has the other core to itself meanwhile. A thread inside ONNX Runtime cannot be stopped: it ends when it is done.
 */
export async function observeInThread(input: z.infer<typeof observationSchema>): Promise<Map<string, Observed>> {
  const worker = new Worker(new URL('./observe-thread.js', import.meta.url), { workerData: input });
  const [observed] = observedSchema.parse(await once(worker, 'message'));
  return observed;
}
