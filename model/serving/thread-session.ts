import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { pixelBytes } from '../images/decode.js';
import { openCoreset } from './coreset.js';
import type { Row } from './messages.js';
import type { SharedReferences } from './nearest.js';

/** Outputs of a graph for the pixels of one image, by name. */
type Run = (pixels: Uint8Array, outputs: readonly string[]) => Promise<Record<string, Float32Array>>;

/** The graph of a model, loaded into a thread. */
export interface ThreadSession {
  /** Throws when the graph has no float output of such a name. */
  readonly run: Run;
  /** Names of all outputs of the graph. */
  readonly outputs: readonly string[];
  /** The model's answers to `count` images of pixels; on several cores while the other threads have no job. */
  infer(pixels: Uint8Array, count: number, isAlone: boolean): Promise<Row[]>;
  end(): Promise<void>;
}

/** Loads a graph. It uses one core, because there are as many threads as cores, and `loneCores` for a job that is alone. */
export async function openSession(
  model: Uint8Array,
  references: SharedReferences | null,
  loneCores: number,
): Promise<ThreadSession> {
  const session = await loadGraph(model, 1);
  const loneSession = loneCores > 1 ? await loadGraph(model, loneCores) : session;
  const outputs = session.outputNames;
  const run: Run = (pixels, names) => runSession(session, pixels, names);
  const coreset = references !== null && outputs.includes(onnxNames.features) ? openCoreset(references) : null;
  const wanted = coreset === null ? [onnxNames.probabilities] : [onnxNames.probabilities, onnxNames.features];
  const inferOne = async (pixels: Uint8Array, isAlone: boolean): Promise<Row> => {
    const found = await runSession(isAlone ? loneSession : session, pixels, wanted);
    const { [onnxNames.probabilities]: probabilities, [onnxNames.features]: features } = found;
    const near = coreset === null || features === undefined ? null : coreset.nearest(features);
    return { probabilities: finite(probabilities), nearest: near };
  };
  return {
    run,
    outputs,
    async infer(pixels, count, isAlone) {
      const rows: Row[] = [];
      for (let at = 0; at < count; at += 1) {
        rows.push(await inferOne(pixels.subarray(at * pixelBytes, (at + 1) * pixelBytes), isAlone));
      }
      return rows;
    },
    async end() {
      await session.release();
      if (loneSession !== session) await loneSession.release();
    },
  };
}

function loadGraph(model: Uint8Array, cores: number): Promise<InferenceSession> {
  return InferenceSession.create(Uint8Array.from(model), {
    executionProviders: ['cpu'],
    intraOpNumThreads: cores,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
    // The parts of a graph take microseconds: a second core that slept after each would gain nothing. It waits awake for
    // as long, and never after a run.
    extra: { session: { force_spinning_stop: '1', intra_op: { spin_duration_us: '20' } } },
  });
}

async function runSession(
  session: InferenceSession,
  pixels: Uint8Array,
  names: readonly string[],
): Promise<Record<string, Float32Array>> {
  const image = new Tensor('uint8', pixels, [1, inputSize, inputSize, 3]);
  const outputs = await session.run({ [onnxNames.image]: image }, names);
  const entries = names.map((name): [string, Float32Array] => {
    const data = outputs[name]?.data;
    if (data instanceof Float32Array) return [name, data];
    throw new Error(`The model has no float output named ${name}.`);
  });
  return Object.fromEntries(entries);
}

function finite(values: Float32Array | undefined): number[] {
  // NaN cannot be sent as JSON, and no metric can be computed from it.
  if (!values?.every(Number.isFinite)) throw new Error('The model computes probabilities that are not numbers.');
  return Array.from(values);
}
