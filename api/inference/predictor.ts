import type { PredictionRoute } from '../../contracts/predictions/predictions.js';
import type { Explanation, ExplainOptions, JobOptions, Prediction } from '../../model/serving/engine.js';
import type { InputCapture, OfferedInput } from '../predictions/inputs/input-capture.js';
import type { PredictionLog } from '../predictions/log/prediction-log.js';
import { cacheKey, type CacheResult, type PredictionCache } from './prediction-cache.js';
import type { PredictionFailure, PredictionListener } from './prediction-events.js';
import { sha256Of } from '../../platform/sha256.js';
import { modelOf, type ServedModel, type ServingHost } from '../model-host/served-model.js';

export interface PredictionRequest extends JobOptions {
  /** The route of the request. */
  route: PredictionRoute;
}

/** A prediction as counted, stored and sent. */
export interface Predicted {
  served: ServedModel;
  prediction: Prediction;
  /** Too uncertain for the target risk of the model. */
  abstained: boolean;
  predictionId: string;
  latencyMs: number;
}

/** The single path from an image to an answer: every protocol predicts, counts and stores through here. */
export interface Predictor {
  /** The served model. Throws `no_model`, `model_retired`. */
  served(): ServedModel;
  /**
   * Throws and counts the refusal that this many images would get now, so that no body is read or parsed in vain. A single
   * image is always admitted if the cache may have its answer. Without a model it does not throw, so that an invalid
   * request gets its own error first.
   */
  admit(images: number, request: PredictionRequest): void;
  /** Predicts an image file. Throws what `Engine.predictImage` throws. */
  image(bytes: Uint8Array, request: PredictionRequest): Promise<Predicted>;
  /** The same for `count` images of 224×224 RGB pixels, in their order. */
  pixels(pixels: Uint8Array, count: number, request: PredictionRequest): Promise<Predicted[]>;
  /** Predicts and explains an image file. Throws what `Engine.explainImage` throws. */
  explain(
    bytes: Uint8Array,
    explain: ExplainOptions,
    request: PredictionRequest,
  ): Promise<Predicted & { explanation: Explanation }>;
}

export interface PredictorOptions {
  host: ServingHost;
  /** Observers, such as metrics. */
  listeners: readonly PredictionListener[];
  predictionLog: Pick<PredictionLog, 'keep'>;
  inputCapture: Pick<InputCapture, 'offer'>;
  modelName: string;
  /** Cache of answers; none without it. */
  cache?: PredictionCache | null;
}

export function createPredictor(options: PredictorOptions): Predictor {
  return new RecordingPredictor(options);
}

type PredictedImage = Omit<OfferedInput, 'predictionId'>;

interface Recalled {
  imageSha256: string;
  prediction: Prediction;
  cached: CacheResult | null;
}

class RecordingPredictor implements Predictor {
  constructor(private readonly options: PredictorOptions) {}

  served(): ServedModel {
    return modelOf(this.options.host, this.options.modelName);
  }

  admit(images: number, { route, ...job }: PredictionRequest): void {
    if (this.options.cache && route === 'predict') return;
    const served = this.options.host.current();
    try {
      served?.engine.admit(images, job);
    } catch (error) {
      this.fail({ served, of: 'admission', error });
    }
  }

  async image(bytes: Uint8Array, { route, ...job }: PredictionRequest): Promise<Predicted> {
    const served = this.served();
    const startedAt = performance.now();
    const { imageSha256, prediction, cached } = await this.predictOrRecall(served, bytes, job);
    const latencyMs = performance.now() - startedAt;
    for (const each of this.options.listeners) each.onPredicted({ of: 'image', served, prediction, latencyMs, cached });
    return this.keep(served, prediction, { route, image: { imageSha256, bytes }, latencyMs });
  }

  async pixels(pixels: Uint8Array, count: number, { route, ...job }: PredictionRequest): Promise<Predicted[]> {
    const served = this.served();
    const startedAt = performance.now();
    const predictions = await this.reporting(served, 'pixels', served.engine.predictPixels(pixels, count, job));
    const latencyMs = performance.now() - startedAt;
    return predictions.map((prediction) => {
      for (const each of this.options.listeners) each.onPredicted({ of: 'pixels', served, prediction, latencyMs });
      return this.keep(served, prediction, { route, image: null, latencyMs });
    });
  }

  async explain(
    bytes: Uint8Array,
    explain: ExplainOptions,
    { route, ...job }: PredictionRequest,
  ): Promise<Predicted & { explanation: Explanation }> {
    const served = this.served();
    const startedAt = performance.now();
    const [imageSha256, explanation] = await Promise.all([
      sha256Of(bytes),
      this.reporting(served, 'explanation', served.engine.explainImage(bytes, explain, job)),
    ]);
    const latencyMs = performance.now() - startedAt;
    const { prediction, method } = explanation;
    for (const each of this.options.listeners) {
      each.onPredicted({ of: 'explanation', served, prediction, latencyMs, method });
    }
    return { ...this.keep(served, prediction, { route, image: { imageSha256, bytes }, latencyMs }), explanation };
  }

  /** Looks into the cache before the engine; without a cache the digest is computed during the prediction. */
  private async predictOrRecall(served: ServedModel, bytes: Uint8Array, job: JobOptions): Promise<Recalled> {
    const { cache } = this.options;
    const predict = (): Promise<Prediction> => this.reporting(served, 'image', served.engine.predictImage(bytes, job));
    if (!cache) {
      const [imageSha256, prediction] = await Promise.all([sha256Of(bytes), predict()]);
      return { imageSha256, prediction, cached: null };
    }
    const imageSha256 = await sha256Of(bytes);
    // Only default-priority requests without a deadline share a cache entry: a joiner would inherit the owner's deadline or low priority.
    const canJoin = job.deadlineAt === undefined && job.priority !== 'background';
    const { prediction, result } = await cache.answer(cacheKey(served, imageSha256), predict, canJoin);
    return { imageSha256, prediction, cached: result };
  }

  private keep(
    served: ServedModel,
    prediction: Prediction,
    { image, ...facts }: { route: PredictionRoute; image: PredictedImage | null; latencyMs: number },
  ): Predicted {
    const abstained = served.abstainBelow !== null && prediction.confidence < served.abstainBelow;
    const imageSha256 = image?.imageSha256 ?? null;
    const predictionId = this.options.predictionLog.keep(served, { ...facts, imageSha256, prediction, abstained });
    if (image) this.options.inputCapture.offer(served, { ...image, predictionId });
    return { served, prediction, abstained, predictionId, latencyMs: facts.latencyMs };
  }

  private async reporting<T>(served: ServedModel, of: PredictionFailure['of'], work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      return this.fail({ served, of, error });
    }
  }

  private fail(failure: PredictionFailure): never {
    for (const each of this.options.listeners) each.onFailed(failure);
    throw failure.error;
  }
}
