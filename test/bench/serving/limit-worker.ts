import turbo from '@julusian/jpeg-turbo';
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { onnxNames } from '../../../contracts/registry/bundle.js';
import { inputSize } from '../../../contracts/training/training.js';

/**
 * Decodes and infers as fast as one thread can, without a server: the upper limit for servers on this machine. It uses
 * none of our own code: the fastest decoder found, the cheapest way to 224×224 pixels, and ONNX Runtime.
 */
const orderSchema = z.object({
  modelPath: z.string(),
  imagePaths: z.array(z.string()),
  durationMs: z.number(),
  decodes: z.boolean(),
});
const order = orderSchema.parse(workerData);

const session = await InferenceSession.create(order.modelPath, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 3,
});
const images = order.imagePaths.map((path) => readFileSync(path));
const decoded = images.map(decode);
await workOn(0);
parentPort?.once('message', () => void measure());
parentPort?.postMessage('ready');

async function measure(): Promise<void> {
  const startedAt = performance.now();
  let done = 0;
  while (performance.now() - startedAt < order.durationMs) await workOn(done++);
  parentPort?.postMessage(done / ((performance.now() - startedAt) / 1000));
  await session.release();
  parentPort?.close();
}

async function workOn(index: number): Promise<void> {
  const bytes = images[index % images.length];
  const known = decoded[index % images.length];
  if (bytes === undefined || known === undefined) throw new Error('there are no images');
  const image = new Tensor('uint8', order.decodes ? decode(bytes) : known, [1, inputSize, inputSize, 3]);
  await session.run({ [onnxNames.image]: image }, [onnxNames.probabilities]);
}

/** Takes the nearest pixel. What is served is resampled with more care, which costs more. */
function decode(bytes: Buffer): Uint8Array {
  const { data, width, height } = turbo.decompressSync(bytes, { format: turbo.FORMAT_RGB });
  const pixels = new Uint8Array(inputSize * inputSize * 3);
  for (let y = 0, to = 0; y < inputSize; y += 1) {
    const row = Math.floor(((y + 0.5) * height) / inputSize) * width;
    for (let x = 0; x < inputSize; x += 1, to += 3) {
      const from = 3 * (row + Math.floor(((x + 0.5) * width) / inputSize));
      pixels[to] = data[from] ?? 0;
      pixels[to + 1] = data[from + 1] ?? 0;
      pixels[to + 2] = data[from + 2] ?? 0;
    }
  }
  return pixels;
}
