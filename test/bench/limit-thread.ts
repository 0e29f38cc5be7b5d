import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { pixelBytes, setThreadsPerImage } from '../../model/images/decode.js';
import { inspectImage, minimumSide, type ImageLimits } from '../../model/images/inspect.js';
import { limitSchema, type Limit } from './limits.js';

/** One core of the machine at its limit: does its share of the work when it is told to, and says when it has. */
const limits: ImageLimits = { maxPixels: 100_000_000, maxBytes: 20_000_000, minSide: minimumSide };
/** Images under way: while one is decoded another is read. */
const imagesAtOnce = 2;

setThreadsPerImage(1);
const work = await prepare(limitSchema.parse(workerData));
parentPort?.on('message', () => void work().then(() => parentPort?.postMessage('done')));
parentPort?.postMessage('ready');

async function prepare(limit: Limit): Promise<() => Promise<void>> {
  if (limit.kind === 'inspect') return () => inspectAll(limit.paths);
  const session = await InferenceSession.create(Uint8Array.from(limit.graph), { intraOpNumThreads: 1 });
  const image = new Tensor('uint8', new Uint8Array(pixelBytes).fill(99), [1, inputSize, inputSize, 3]);
  return async () => {
    for (let run = 0; run < limit.runs; run += 1) await session.run({ [onnxNames.image]: image });
  };
}

async function inspectAll(paths: readonly string[]): Promise<void> {
  const remaining = paths.values();
  const lane = async (): Promise<void> => {
    for (const path of remaining) await inspectImage(await readFile(path), limits);
  };
  await Promise.all(Array.from({ length: imagesAtOnce }, lane));
}
