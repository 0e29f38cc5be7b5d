import { workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { floatsOf } from '../export/parity.js';
import { oneThread } from '../export/run-onnx.js';
import { oneByOne } from '../one-by-one.js';
import { answerQuestions } from '../worker-thread.js';
import { decodeFile } from './decode-batches.js';

/** Worker thread that gives the features of images. It decodes an image while the network runs on the one before. */
const { graph } = z.object({ graph: z.instanceof(Uint8Array) }).parse(workerData);
const loading = InferenceSession.create(Uint8Array.from(graph), oneThread);
/** An image file. Loading the schemas of all jobs would take each thread as long as several images. */
const imageSchema = z.object({ sha256: z.string(), path: z.string() });
const inTurn = oneByOne();

answerQuestions(
  imageSchema,
  (image) => {
    const pixels = decodeFile(image);
    // Thrown below, when it is this image's turn.
    pixels.catch(() => undefined);
    return inTurn(() => featuresOf(pixels));
  },
  async () => (await loading).release(),
);

async function featuresOf(pixels: Promise<Uint8Array>): Promise<Float32Array> {
  const image = new Tensor('uint8', await pixels, [1, inputSize, inputSize, 3]);
  const session = await loading;
  const outputs = await session.run({ [onnxNames.image]: image }, [onnxNames.features]);
  return Float32Array.from(floatsOf(outputs, onnxNames.features));
}
