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
  /** Images that may wait per priority before more are refused with `overloaded`. */
  queueLimit: number;
  limits: ImageLimits;
  /** The precision variant to serve; `auto`, the default, takes the faster one that passes its probe. */
  variant?: Variant | 'auto' | undefined;
  /**
   * Requests that would wait longer than this are refused with `overloaded`; 0, the default, leaves only the queue
   * limit.
   */
  latencyTargetMs?: number | undefined;
  /** Whether images are batched if a calibration at load shows a gain; true by default. */
  batching?: boolean | undefined;
  /** Called with the reason when a thread ends unexpectedly; it is replaced in any case. */
  onThreadDeath?: (message: string) => void;
  /** Called with the reason when a variant that exists or was requested is not served. */
  onVariantRefused?: ((message: string) => void) | undefined;
  /** Called with the size of each batch and the reason why it was not larger. */
  onBatch?: ((images: number, reason: ReleaseReason) => void) | undefined;
}

export interface JobOptions {
  /** `interactive` by default. */
  priority?: Priority;
  /** Time after which the answer is useless, on the clock of `performance.now()`. */
  deadlineAt?: number;
  /** Start of the latency that the latency target applies to, on the same clock; by default the time of the call. */
  receivedAt?: number;
}

/** A loaded model. */
export interface Engine {
  readonly manifest: Manifest;
  readonly labels: readonly string[];
  /** The precision variant that is served. */
  readonly variant: Variant;
  /** Calibration of its confidence; null for bundles without one. */
  readonly calibration: Calibration | null;
  /** Images not yet in progress. */
  readonly waiting: number;
  /**
   * Throws the error with which a prediction on `images` images would be refused now, without adding anything to the
   * queue: lets a caller skip work before a prediction.
   * @throws PerennialError overloaded, deadline_exceeded, no_model once closed
   */
  admit(images: number, options?: JobOptions): void;
  /**
   * Predicts a JPEG, PNG or WebP image.
   * @throws PerennialError what `decodePixels` throws; overloaded; deadline_exceeded; no_model once closed; internal
   */
  predictImage(bytes: Uint8Array, options?: JobOptions): Promise<Prediction>;
  /**
   * Predicts `count` images of 224×224 RGB pixels, in their order; `count` is limited by memory only.
   * @throws PerennialError invalid_tensor, overloaded, deadline_exceeded, no_model once closed, internal
   */
  predictPixels(pixels: Uint8Array, count: number, options?: JobOptions): Promise<Prediction[]>;
  /**
   * Explains which regions of an image support a class; background work unless `priority` says otherwise.
   * @throws PerennialError as `predictImage`; bad_request for a class the model does not know
   */
  explainImage(bytes: Uint8Array, explain: ExplainOptions, options?: JobOptions): Promise<Explanation>;
  /** Stops accepting requests, answers those it accepted, then ends its threads. */
  close(): Promise<void>;
}

/**
 * Verifies a bundle, loads it into threads, warms it up and checks its probe.
 * @throws PerennialError bundle_invalid when a file is damaged or missing, or the model does not run or fails its probe
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
