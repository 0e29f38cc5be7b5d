import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, type Calibration, type Manifest, type Variant } from '../../contracts/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import { pixelBytes } from '../images/decode.js';
import type { ImageLimits } from '../images/header.js';
import type { Explanation, ExplainOptions, Prediction } from './answers.js';
import type { Job } from './messages.js';
import { checkProbe } from './probe.js';
import { ThreadPool } from './thread-pool.js';
import { startThread } from './thread.js';
import { verifyBundle } from './verify-bundle.js';

export type { Explanation, ExplainOptions, Familiarity, Neighbour, Prediction } from './answers.js';

export interface EngineOptions {
  bundleFolder: string;
  threads: number;
  /** Predictions that may wait for a free thread before more are refused with `overloaded`. */
  queueLimit: number;
  limits: ImageLimits;
  /** Told why, whenever a thread ended that nobody ended; it is replaced in any case. */
  onThreadDeath?: (message: string) => void;
}

/** Who waits for an answer: people and programs, or work that has time. Background work is done when nobody else waits. */
export type Lane = 'interactive' | 'background';

export interface JobOptions {
  /** `interactive` unless given. */
  lane?: Lane;
  /** The moment, in the time of `performance.now()`, from which the answer is of no use any more. */
  deadlineAt?: number;
}

/** A loaded model. */
export interface Engine {
  readonly manifest: Manifest;
  readonly labels: readonly string[];
  /** The form of the network that answers. */
  readonly variant: Variant;
  /** What its confidence means; null for bundles that do not say. */
  readonly calibration: Calibration | null;
  /** Jobs that wait for a free thread. */
  readonly waiting: number;
  /**
   * What the model sees in a JPEG, PNG or WebP image.
   * @throws PerennialError what `decodePixels` throws; overloaded; deadline_exceeded; no_model once closed; internal
   */
  predictImage(bytes: Uint8Array, options?: JobOptions): Promise<Prediction>;
  /**
   * What it sees in `count` images of 224×224 RGB pixels, in their order; no limit but memory on `count`.
   * @throws PerennialError invalid_tensor, overloaded, deadline_exceeded, no_model once closed, internal
   */
  predictPixels(pixels: Uint8Array, count: number, options?: JobOptions): Promise<Prediction[]>;
  /**
   * Which places of an image speak for a class; background work unless `lane` says otherwise.
   * @throws PerennialError as `predictImage`; bad_request for a class the model does not know
   */
  explainImage(bytes: Uint8Array, explain: ExplainOptions, options?: JobOptions): Promise<Explanation>;
  /** Takes no more requests, answers those it took, then ends its threads. */
  close(): Promise<void>;
}

/** Images a thread works on at once: larger batches are no faster, take more memory and keep other threads from helping. */
const batchSize = 4;

/**
 * Verifies a bundle, loads and warms it up in threads of its own, and lets it answer its probe.
 * @throws PerennialError bundle_invalid when a file is damaged or missing, or the model does not run or answers wrong
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const manifest = await verifyBundle(options.bundleFolder);
  const model = share(await readFile(join(options.bundleFolder, bundleFiles.onnx)));
  const pool = await ThreadPool.create({
    threads: Math.max(1, options.threads),
    queueLimit: options.queueLimit,
    start: () => startThread({ model, limits: options.limits }),
    onDeath: options.onThreadDeath ?? (() => undefined),
  });
  try {
    await checkProbe(options.bundleFolder, manifest, async (pixels, count) => {
      const predictions = await predictPixels(pool, manifest.labels, pixels, count);
      return predictions.map(({ probabilities }) => probabilities);
    });
  } catch (error) {
    await pool.close();
    throw error;
  }
  return {
    manifest,
    labels: manifest.labels,
    variant: 'fp32',
    calibration: null,
    get waiting() {
      return pool.waiting;
    },
    predictImage: (bytes) => predictImage(pool, manifest.labels, bytes),
    predictPixels: (pixels, count) => predictPixels(pool, manifest.labels, pixels, count),
    explainImage: () => Promise.reject(new PerennialError('internal', 'Explanations are not built yet.')),
    close: () => pool.close(),
  };
}

async function predictImage(pool: ThreadPool, labels: readonly string[], bytes: Uint8Array): Promise<Prediction> {
  const [answer] = await pool.run([{ kind: 'image', bytes }]);
  return predictionOf(labels, answer?.rows[0], answer ?? noPhases);
}

const noPhases = { queueMs: 0, decodeMs: 0, inferMs: 0 };

function predictionOf(
  labels: readonly string[],
  probabilities: number[] = [],
  { queueMs, decodeMs, inferMs }: Prediction['phases'],
): Prediction {
  const confidence = Math.max(...probabilities);
  const label = labels[probabilities.indexOf(confidence)];
  if (label === undefined) {
    throw new PerennialError('internal', 'The model gave no probability for its labels. Promote another version.');
  }
  return { label, confidence, probabilities, familiarity: null, phases: { queueMs, decodeMs, inferMs } };
}

async function predictPixels(
  pool: ThreadPool,
  labels: readonly string[],
  pixels: Uint8Array,
  count: number,
): Promise<Prediction[]> {
  if (!Number.isInteger(count) || count < 1 || pixels.length !== count * pixelBytes) {
    throw new PerennialError(
      'invalid_tensor',
      `${count} images need ${count * pixelBytes} bytes of 224×224 RGB pixels; ${pixels.length} were sent.`,
    );
  }
  const jobs = Array.from({ length: Math.ceil(count / batchSize) }, (_, batch): Job => {
    const first = batch * batchSize;
    const last = Math.min(first + batchSize, count);
    return { kind: 'pixels', bytes: pixels.subarray(first * pixelBytes, last * pixelBytes), count: last - first };
  });
  const answers = await pool.run(jobs);
  return answers.flatMap((answer) => answer.rows.map((row) => predictionOf(labels, row, answer)));
}

function share(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}
