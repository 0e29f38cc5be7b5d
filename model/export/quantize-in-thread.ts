import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Operation, Weights } from '../architectures/network.js';
import type { ImageFile } from '../jobs.js';

/** Input of the thread. It comes from its parent only, so its contents are not validated further. */
export const layersSchema = z.object({
  operations: z.custom<readonly Operation[]>(Array.isArray),
  weights: z.custom<Weights>((value) => value instanceof Map),
  images: z.custom<readonly ImageFile[]>(Array.isArray),
});

const quantizedSchema = z.tuple([z.instanceof(Uint8Array)]);

/**
 * Observes a network on images and quantizes its layers (`encodeInt8Layers`) in a worker thread: ONNX Runtime blocks the
 * thread that calls it, and TensorFlow can use the other core meanwhile. A thread inside ONNX Runtime cannot be stopped: it
 * ends when it has finished.
 */
export async function quantizeInThread(input: z.infer<typeof layersSchema>): Promise<Uint8Array> {
  const worker = new Worker(new URL('./quantize-thread.js', import.meta.url), { workerData: input });
  const [layers] = quantizedSchema.parse(await once(worker, 'message'));
  return layers;
}
