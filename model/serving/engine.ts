import type { Calibration, Manifest, Variant } from '../../contracts/registry/bundle.js';
import type { ImageLimits } from '../images/header.js';
import type { Explanation, ExplainOptions, Prediction } from './answers.js';
import type { ReleaseReason } from './batch-limit.js';
import { chooseVariant } from './choose-variant.js';
import type { Priority } from './job-queue.js';
import { calibrateBatchSize } from './calibrate-batch-size.js';
import { explainPrediction, predictImage, predictPixels, type LoadedModel } from './predict.js';
import { readBundle, type ServedBundle } from './read-bundle.js';
import { ThreadPool } from './thread-pool.js';
import { startThread, type Thread } from './thread.js';

export type { Explanation, ExplainOptions, Neighbour, Prediction } from './answers.js';

export type { Priority } from './job-queue.js';

export interface EngineOptions {
  bundleFolder: string;
  threads: number;
  /** Images that may wait in a priority for a free thread before more are refused with `overloaded`. */
  queueLimit: number;
  limits: ImageLimits;
  /** The form of the network to serve; `auto`, the default, takes the faster one that answers as it should. */
  variant?: Variant | 'auto' | undefined;
  /** Requests that would wait longer than this are refused with `overloaded`; 0, the default, leaves it to the queue. */
  latencyTargetMs?: number | undefined;
  /** Whether batches may be formed where a measurement at load shows that they gain; true by default. */
  batching?: boolean | undefined;
  /** Told why, whenever a thread ended that nobody ended; it is replaced in any case. */
  onThreadDeath?: (message: string) => void;
  /** Told why a form of the network is not served that the bundle has or that was asked for. */
  onVariantRefused?: ((message: string) => void) | undefined;
  /** Told how many images a thread is given at once, and why no more. */
  onBatch?: ((images: number, reason: ReleaseReason) => void) | undefined;
}

export interface JobOptions {
  /** `interactive` unless given. */
  priority?: Priority;
  /** The moment, in the time of `performance.now()`, from which the answer is of no use any more. */
  deadlineAt?: number;
  /** The moment, in the same time, from which the latency counts that has a target: this one unless given. */
  receivedAt?: number;
}

/** A loaded model. */
export interface Engine {
  readonly manifest: Manifest;
  readonly labels: readonly string[];
  /** The form of the network that answers. */
  readonly variant: Variant;
  /** What its confidence means; null for bundles that do not say. */
  readonly calibration: Calibration | null;
  /** Images that no thread works on yet. */
  readonly waiting: number;
  /**
   * Throws what a prediction on so many images would be refused with at this moment, and does nothing else: work before
   * a prediction can be spared.
   * @throws PerennialError overloaded, deadline_exceeded, no_model once closed
   */
  admit(images: number, options?: JobOptions): void;
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
   * Which places of an image speak for a class; background work unless `priority` says otherwise.
   * @throws PerennialError as `predictImage`; bad_request for a class the model does not know
   */
  explainImage(bytes: Uint8Array, explain: ExplainOptions, options?: JobOptions): Promise<Explanation>;
  /** Takes no more requests, answers those it took, then ends its threads. */
  close(): Promise<void>;
}

/**
 * Verifies a bundle, loads and warms it up in threads of its own, and lets it answer its probe.
 * @throws PerennialError bundle_invalid when a file is damaged or missing, or the model does not run or answers wrong
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const bundle = await readBundle(options.bundleFolder);
  const model = await loadModel(bundle, options);
  const { manifest, calibration } = bundle;
  return {
    manifest,
    labels: manifest.labels,
    variant: model.variant,
    calibration,
    get waiting() {
      return model.pool.waiting;
    },
    admit: (images, job) => model.pool.admit(images, job),
    predictImage: (bytes, job) => predictImage(model, bytes, job),
    predictPixels: (pixels, count, job) => predictPixels(model, { pixels, count }, job),
    explainImage: (bytes, explain, job) => explainPrediction(model, bytes, explain, job),
    close: () => model.pool.close(),
  };
}

async function loadModel(bundle: ServedBundle, options: EngineOptions): Promise<LoadedModel> {
  const { limits } = options;
  const references = bundle.references?.shared ?? null;
  const start = (graph: Uint8Array): Promise<Thread> => startThread({ model: graph, limits, references });
  const { variant, thread } = await chooseVariant({
    bundle,
    folder: options.bundleFolder,
    wanted: options.variant ?? 'auto',
    start,
    onRefused: options.onVariantRefused ?? (() => undefined),
  });
  const graph = bundle.graphs[variant] ?? bundle.graphs.fp32;
  const batchSize = options.batching === false ? 1 : await calibrateBatchSize(thread);
  const started = [thread];
  const pool = await ThreadPool.create({
    threads: Math.max(1, options.threads),
    batchSize,
    queueLimit: options.queueLimit,
    latencyTargetMs: options.latencyTargetMs ?? 0,
    start: async () => started.pop() ?? start(graph),
    onDeath: options.onThreadDeath ?? (() => undefined),
    onBatch: options.onBatch,
  });
  return { pool, batchSize, labels: bundle.manifest.labels, variant, references: bundle.references };
}
