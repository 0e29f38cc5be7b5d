import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { onnxNames } from '../../../contracts/registry/bundle.js';
import { inputSize } from '../../../contracts/training/training.js';
import { decodePixels, setThreadsPerImage } from '../../../model/images/decode.js';
import { minimumSide } from '../../../model/images/header.js';

/** Decodes and infers as fast as one thread can, without a server: the upper limit for servers on this machine. */
const orderSchema = z.object({
  modelPath: z.string(),
  imagePaths: z.array(z.string()),
  durationMs: z.number(),
  decodes: z.boolean(),
});
const order = orderSchema.parse(workerData);
const limits = { maxPixels: 100_000_000, maxBytes: 20_000_000, minSide: minimumSide };

setThreadsPerImage(1);
const session = await InferenceSession.create(order.modelPath, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 3,
});
const images = order.imagePaths.map((path) => readFileSync(path));
const decoded = await Promise.all(images.map((bytes) => decodePixels(bytes, limits)));
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
  const pixels = order.decodes ? await decodePixels(bytes, limits) : known;
  const image = new Tensor('uint8', pixels, [1, inputSize, inputSize, 3]);
  await session.run({ [onnxNames.image]: image }, [onnxNames.probabilities]);
}
