import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, type Manifest } from '../../contracts/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import { pixelBytes } from '../images/decode.js';
import type { ImageLimits } from '../images/header.js';
import type { Job } from './messages.js';
import { checkProbe } from './probe.js';
import { ThreadPool } from './thread-pool.js';
import { startThread } from './thread.js';
import { verifyBundle } from './verify-bundle.js';

export interface EngineOptions {
  bundleFolder: string;
  threads: number;
  /** Predictions that may wait for a free thread before more are refused with `overloaded`. */
  queueLimit: number;
  limits: ImageLimits;
  /** Told why, whenever a thread ended that nobody ended; it is replaced in any case. */
  onThreadDeath?: (message: string) => void;
}

export interface Prediction {
  label: string;
  confidence: number;
  /** In the order of the engine's labels. */
  probabilities: number[];
  phases: { queueMs: number; decodeMs: number; inferMs: number };
}

/** A loaded model. */
export interface Engine {
  readonly manifest: Manifest;
  readonly labels: readonly string[];
  /** Jobs that wait for a free thread. */
  readonly waiting: number;
  /**
   * What the model sees in a JPEG, PNG or WebP image.
   * @throws PerennialError what `decodePixels` throws; overloaded; no_model once closed; internal
   */
  predictImage(bytes: Uint8Array): Promise<Prediction>;
  /**
   * Probabilities for `count` images of 224×224 RGB pixels, row by row; no limit but memory on `count`.
   * @throws PerennialError invalid_tensor, overloaded, no_model once closed, internal
   */
  predictPixels(pixels: Uint8Array, count: number): Promise<number[][]>;
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
    await checkProbe(options.bundleFolder, manifest, (pixels, count) => predictPixels(pool, pixels, count));
  } catch (error) {
    await pool.close();
    throw error;
  }
  return {
    manifest,
    labels: manifest.labels,
    get waiting() {
      return pool.waiting;
    },
    predictImage: (bytes) => predictImage(pool, manifest.labels, bytes),
    predictPixels: (pixels, count) => predictPixels(pool, pixels, count),
    close: () => pool.close(),
  };
}

async function predictImage(pool: ThreadPool, labels: readonly string[], bytes: Uint8Array): Promise<Prediction> {
  const [answer] = await pool.run([{ kind: 'image', bytes }]);
  const probabilities = answer?.rows[0];
  const confidence = Math.max(...(probabilities ?? []));
  const label = labels[probabilities?.indexOf(confidence) ?? -1];
  if (answer === undefined || probabilities === undefined || label === undefined) {
    throw new PerennialError('internal', 'The model gave no probability for its labels. Promote another version.');
  }
  const { queueMs, decodeMs, inferMs } = answer;
  return { label, confidence, probabilities, phases: { queueMs, decodeMs, inferMs } };
}

async function predictPixels(pool: ThreadPool, pixels: Uint8Array, count: number): Promise<number[][]> {
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
  return answers.flatMap((answer) => answer.rows);
}

function share(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}
