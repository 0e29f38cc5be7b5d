import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../contracts/bundle.js';
import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import { inputSize } from '../../contracts/training.js';
import { decodePixels, pixelBytes, setThreadsPerImage } from '../images/decode.js';
import { requestSchema, threadSetupSchema, type Job, type Reply } from './messages.js';

/** A thread of the serving engine: its own ONNX Runtime session, one image or batch at a time, decoded right here. */
const setup = threadSetupSchema.parse(workerData);

// As many threads as cores run side by side; each of them splitting its own work would only make them wait.
setThreadsPerImage(1);
const session = await InferenceSession.create(Uint8Array.from(setup.model), {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 3,
});
await infer(new Uint8Array(pixelBytes), 1);

parentPort?.on('message', (message: unknown) => {
  const request = requestSchema.safeParse(message);
  // A plain Error: the message of zod's own is lost on its way out of the thread.
  if (!request.success) throw new Error(`The request is malformed: ${request.error.message}`);
  if (request.data === null) void end();
  else void answer(request.data).then(reply);
});
reply({ type: 'ready' });

async function answer(job: Job): Promise<Reply> {
  try {
    const startedAt = performance.now();
    const pixels = job.kind === 'image' ? await decodePixels(job.bytes, setup.limits) : job.bytes;
    const decodedAt = performance.now();
    const rows = await infer(pixels, job.kind === 'image' ? 1 : job.count);
    return { type: 'answer', rows, decodeMs: decodedAt - startedAt, inferMs: performance.now() - decodedAt };
  } catch (error) {
    return { type: 'refused', code: errorCodeOf(error), message: messageOf(error) };
  }
}

async function infer(pixels: Uint8Array, count: number): Promise<number[][]> {
  const image = new Tensor('uint8', pixels, [count, inputSize, inputSize, 3]);
  const { [onnxNames.probabilities]: output } = await session.run({ [onnxNames.image]: image }, [
    onnxNames.probabilities,
  ]);
  if (!(output?.data instanceof Float32Array) || output.data.length % count !== 0) {
    throw new Error(`The model gives no float output named ${onnxNames.probabilities} with one row an image.`);
  }
  const values = Array.from(output.data);
  // No client could read it, and no figure could be counted from it.
  if (!values.every(Number.isFinite)) throw new Error('The model computes probabilities that are not numbers.');
  const classes = values.length / count;
  return Array.from({ length: count }, (_, row) => values.slice(row * classes, (row + 1) * classes));
}

async function end(): Promise<void> {
  await session.release();
  parentPort?.close();
}

function reply(message: Reply): void {
  parentPort?.postMessage(message);
}
