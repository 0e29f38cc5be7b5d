import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { floatsOf, oneThread } from '../export/parity.js';
import { oneByOne } from '../one-by-one.js';
import { answerQuestions } from '../worker-thread.js';
import { decodeFile } from './decode-batches.js';

/** Worker thread that loads a graph and then gives the features of images. It decodes an image while the network runs on the one before. */
const questionSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('load'), graph: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
  // Loading the schemas of all jobs would take each thread as long as several images.
  z.object({ kind: z.literal('image'), sha256: z.string(), path: z.string() }),
]);
export type FeatureQuestion = z.infer<typeof questionSchema>;

let session: InferenceSession | null = null;
const inTurn = oneByOne();

answerQuestions(
  questionSchema,
  (question) => {
    if (question.kind === 'load') return inTurn(() => load(question.graph));
    const pixels = decodeFile(question);
    // Thrown below, when it is this image's turn.
    pixels.catch(() => undefined);
    return inTurn(() => featuresOf(pixels));
  },
  async () => session?.release(),
);

async function load(graph: Uint8Array): Promise<void> {
  session = await InferenceSession.create(Uint8Array.from(graph), oneThread);
}

async function featuresOf(pixels: Promise<Uint8Array>): Promise<Float32Array> {
  const image = new Tensor('uint8', await pixels, [1, inputSize, inputSize, 3]);
  if (session === null) throw new Error('The thread has no graph to run.');
  const outputs = await session.run({ [onnxNames.image]: image }, [onnxNames.features]);
  return Float32Array.from(floatsOf(outputs, onnxNames.features));
}
