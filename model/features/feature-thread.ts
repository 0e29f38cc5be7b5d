import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { floatsOf, oneThread } from '../export/parity.js';
import { decodeFile } from './decode-batches.js';
import type { FeatureAnswer } from './feature-threads.js';

/** Worker thread that answers images with their features, in order, until it receives null. */
const { graph } = z.object({ graph: z.instanceof(Uint8Array) }).parse(workerData);
const loading = InferenceSession.create(Uint8Array.from(graph), oneThread);
/** An image file. Loading the schemas of all jobs would take each thread as long as several images. */
const orderSchema = z.object({ sha256: z.string(), path: z.string() }).nullable();
let turn: Promise<void> = Promise.resolve();

parentPort?.on('message', (message) => {
  const image = orderSchema.parse(message);
  if (image === null) {
    void turn.then(end);
    return;
  }
  const pixels = decodeFile(image);
  // Handled below, when it is this image's turn.
  pixels.catch(() => undefined);
  turn = turn.then(async () => {
    parentPort?.postMessage(await answer(pixels));
  });
});

async function answer(pixels: Promise<Uint8Array>): Promise<FeatureAnswer> {
  try {
    const image = new Tensor('uint8', await pixels, [1, inputSize, inputSize, 3]);
    const session = await loading;
    const outputs = await session.run({ [onnxNames.image]: image }, [onnxNames.features]);
    return { features: Float32Array.from(floatsOf(outputs, onnxNames.features)) };
  } catch (error) {
    return { code: errorCodeOf(error), message: messageOf(error) };
  }
}

async function end(): Promise<void> {
  await (await loading).release();
  parentPort?.close();
}
