import { z } from 'zod';
import type { Operation, Weights } from '../architectures/network.js';
import type { ImageFile } from '../jobs.js';
import { startThread } from '../worker-thread.js';

/** Input of the thread. It comes from its parent only, so its contents are not validated further. */
export const layersSchema = z.object({
  operations: z.custom<readonly Operation[]>(Array.isArray),
  weights: z.custom<Weights>((value) => value instanceof Map),
  images: z.custom<readonly ImageFile[]>(Array.isArray),
});

/**
 * Observes a network on images and quantizes its layers (`encodeInt8Layers`) in a worker thread: ONNX Runtime blocks the
 * thread that calls it, and TensorFlow can use the other core meanwhile. A thread inside ONNX Runtime cannot be stopped: it
 * ends when it has finished.
 */
export async function quantizeInThread(input: z.infer<typeof layersSchema>): Promise<Uint8Array> {
  const thread = startThread(new URL('./quantize-thread.js', import.meta.url), z.instanceof(Uint8Array));
  try {
    return await thread.ask(input);
  } finally {
    await thread.end();
  }
}
