import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { pixelBytes, setThreadsPerImage } from '../../model/images/decode.js';
import { inspectImage, minimumSide, type ImageLimits } from '../../model/images/inspect.js';
import { openKeeper, type Keeper } from './keeper.js';
import { limitSchema, type Limit } from './limits.js';

/** One core of the machine at its limit: does its share of the work when it is told to, and says when it has. */
const limits: ImageLimits = { maxPixels: 100_000_000, maxBytes: 20_000_000, minSide: minimumSide };
/** Images under way: while one is decoded another is read. */
const imagesAtOnce = 2;
/** The same where each is uploaded: the server answers others meanwhile. */
const uploadsAtOnce = 8;

setThreadsPerImage(1);
const work = await prepare(limitSchema.parse(workerData));
parentPort?.on('message', () => void work().then(() => parentPort?.postMessage('done')));
parentPort?.postMessage('ready');

async function prepare(limit: Limit): Promise<() => Promise<void>> {
  if (limit.kind === 'inspect') {
    const keeper = limit.keep && openKeeper(limit.keep);
    return () => inspectAll(limit.paths, keeper);
  }
  const session = await InferenceSession.create(Uint8Array.from(limit.graph), { intraOpNumThreads: 1 });
  const image = new Tensor('uint8', new Uint8Array(pixelBytes).fill(99), [1, inputSize, inputSize, 3]);
  return async () => {
    for (let run = 0; run < limit.runs; run += 1) await session.run({ [onnxNames.image]: image });
  };
}

async function inspectAll(paths: readonly string[], keeper?: Keeper): Promise<void> {
  const remaining = paths.values();
  const lane = async (): Promise<void> => {
    for (const path of remaining) {
      const bytes = await readFile(path);
      const inspection = await inspectImage(bytes, limits);
      if (inspection.ok) await keeper?.keep(path, bytes, inspection.facts);
    }
  };
  await Promise.all(Array.from({ length: keeper ? uploadsAtOnce : imagesAtOnce }, lane));
  await keeper?.flush();
}
