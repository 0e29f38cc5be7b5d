import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { pixelBytes } from '../images/decode.js';
import type { Row } from './messages.js';
import { openCoreset, type Coreset } from './coreset.js';
import type { SharedReferences } from './nearest.js';

/** Outputs of a graph for `count` images of pixels, by name, each with one row per image. */
type Run = (pixels: Uint8Array, count: number, outputs: readonly string[]) => Promise<Record<string, Float32Array>>;

/** The graph of a model, loaded into a thread. */
export interface ThreadSession {
  /** Throws when the graph has no float output of such a name. */
  readonly run: Run;
  /** Names of all outputs of the graph. */
  readonly outputs: readonly string[];
  /** Outputs for `count` images of pixels, run `batchSize` at once. */
  infer(pixels: Uint8Array, count: number, batchSize: number): Promise<Row[]>;
  end(): Promise<void>;
}

/** Loads a graph. It uses one core, because there are as many threads as cores. */
export async function openSession(model: Uint8Array, references: SharedReferences | null): Promise<ThreadSession> {
  const session = await InferenceSession.create(Uint8Array.from(model), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
  });
  const outputs = session.outputNames;
  const run: Run = (pixels, count, names) => runSession(session, pixels, count, names);
  const coreset = references !== null && outputs.includes(onnxNames.features) ? await openCoreset(references) : null;
  const infer = async (pixels: Uint8Array, count: number, batchSize: number): Promise<Row[]> => {
    const rows: Row[] = [];
    for (let first = 0; first < count; first += batchSize) {
      const last = Math.min(first + batchSize, count);
      const part = pixels.subarray(first * pixelBytes, last * pixelBytes);
      rows.push(...(await inferBatch(run, part, last - first, coreset)));
    }
    return rows;
  };
  const end = async (): Promise<void> => {
    await session.release();
    await coreset?.end();
  };
  return { run, outputs, infer, end };
}

async function runSession(
  session: InferenceSession,
  pixels: Uint8Array,
  count: number,
  names: readonly string[],
): Promise<Record<string, Float32Array>> {
  const image = new Tensor('uint8', pixels, [count, inputSize, inputSize, 3]);
  const outputs = await session.run({ [onnxNames.image]: image }, names);
  const entries = names.map((name): [string, Float32Array] => {
    const data = outputs[name]?.data;
    if (data instanceof Float32Array && data.length % count === 0) return [name, data];
    throw new Error(`The model has no float output named ${name} with one row per image.`);
  });
  return Object.fromEntries(entries);
}

async function inferBatch(run: Run, pixels: Uint8Array, count: number, coreset: Coreset | null): Promise<Row[]> {
  const names = coreset === null ? [onnxNames.probabilities] : [onnxNames.probabilities, onnxNames.features];
  const { [onnxNames.probabilities]: probabilities, [onnxNames.features]: features } = await run(pixels, count, names);
  const rows: Row[] = [];
  for (let row = 0; row < count; row += 1) {
    const near = coreset === null ? null : await coreset.nearest(rowOf(features, row, count));
    rows.push({ probabilities: finite(rowOf(probabilities, row, count)), nearest: near });
  }
  return rows;
}

function rowOf(values: Float32Array | undefined, row: number, rows: number): Float32Array {
  const width = (values?.length ?? 0) / rows;
  return values?.subarray(row * width, (row + 1) * width) ?? new Float32Array();
}

function finite(values: Float32Array): number[] {
  // NaN cannot be sent as JSON, and no metric can be computed from it.
  if (!values.every(Number.isFinite)) throw new Error('The model computes probabilities that are not numbers.');
  return Array.from(values);
}
