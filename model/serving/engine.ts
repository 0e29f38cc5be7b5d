import type { Calibration, Manifest, Variant } from '../../contracts/registry/bundle.js';
import type { ImageLimits } from '../images/header.js';
import type { Explanation, ExplainOptions, Prediction } from './answers.js';
import { chooseVariant } from './choose-variant.js';
import type { Priority } from './job-queue.js';
import { explainPrediction, predictImage, predictPixels, type LoadedModel } from './predict.js';
import { readBundle, type ServedBundle } from './read-bundle.js';
import type { ThreadSetup } from './messages.js';
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
  /** Called with the reason when a thread ends unexpectedly; it is replaced in any case. */
  onThreadDeath?: (message: string) => void;
  /** Called with the reason when a variant that exists or was requested is not served. */
  onVariantRefused?: ((message: string) => void) | undefined;
}

export interface JobOptions {
  /** `interactive` by default. */
  priority?: Priority;
  /** Time after which the answer is useless, on the clock of `performance.now()`. */
  deadlineAt?: number;
  /** Start of a wait before the call that counts in the latency, on the same clock; by default none counts. */
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
  const setup = (model: Uint8Array, cores = 1): ThreadSetup => ({ model, limits, references, loneCores: cores });
  const choice = await chooseVariant({
    bundle,
    folder: options.bundleFolder,
    wanted: options.variant ?? 'auto',
    start: (graph) => startThread(setup(graph)),
    onRefused: options.onVariantRefused ?? (() => undefined),
  });
  const { variant, thread } = choice;
  const graph = bundle.graphs[variant] ?? bundle.graphs.fp32;
  const threads = Math.max(1, options.threads);
  const spares = choice.spare ? [choice.spare] : [];
  if (threads === 1) await spares.pop()?.close();
  const startNext = withOneWide(threads, (cores) => {
    const next = setup(graph, cores);
    const spare = spares.pop();
    // One that crashed is no reason not to serve.
    return spare === undefined ? startThread(next) : spare.reload(next).catch(() => startThread(next));
  });
  const started = [thread];
  const pool = await ThreadPool.create({
    threads,
    queueLimit: options.queueLimit,
    latencyTargetMs: options.latencyTargetMs ?? 0,
    start: async () => started.pop() ?? startNext(),
    onDeath: options.onThreadDeath ?? (() => undefined),
  });
  return { pool, labels: bundle.manifest.labels, variant, references: bundle.references };
}

/** Cores for a job that is alone, if there are as many threads. */
const loneCores = 2;

/** Starts threads so that of those that live one can use several cores: it has the weights in memory twice. */
function withOneWide(threads: number, start: (cores: number) => Promise<Thread>): () => Promise<Thread> {
  let hasWide = threads < loneCores;
  return async () => {
    if (hasWide) return start(1);
    hasWide = true;
    const lose = (): void => void (hasWide = false);
    try {
      const thread = await start(loneCores);
      void thread.ended.then(lose);
      return thread;
    } catch (error) {
      lose();
      throw error;
    }
  };
}
