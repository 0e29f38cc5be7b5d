import type { PredictionRoute } from '../../contracts/predictions/predictions.js';
import type { Explanation, ExplainOptions, JobOptions, Prediction } from '../../model/serving/engine.js';
import { errorCodeOf } from '../../contracts/errors.js';
import { shedReasonOf } from '../../model/serving/admission.js';
import type { InputCapture, OfferedInput } from '../predictions/inputs/input-capture.js';
import type { RequestMetrics } from '../http/request-metrics.js';
import type { CacheMetrics } from './metrics/cache-metrics.js';
import type { ExplanationMetrics } from './metrics/explanation-metrics.js';
import type { PredictionMetrics } from './metrics/prediction-metrics.js';
import type { ModelHost, ServedModel } from '../model-host/model-host.js';
import type { PredictionLog } from '../predictions/log/prediction-log.js';
import { cacheKey, type PredictionCache } from './prediction-cache.js';
import { sha256Of } from '../../platform/sha256.js';
import { modelOf } from '../model-host/served-model.js';

export interface PredictionRequest extends JobOptions {
  /** The route that asks, for the record. */
  route: PredictionRoute;
}

/** An answer as it is counted, kept and sent. */
export interface Predicted {
  served: ServedModel;
  prediction: Prediction;
  /** Too uncertain for the target risk of the model. */
  abstained: boolean;
  predictionId: string;
  latencyMs: number;
}

/** The one way from a picture to an answer: every protocol predicts, counts and keeps through here. */
export interface Predictor {
  /** The model that serves. Throws `no_model`. */
  served(): ServedModel;
  /**
   * Throws, and counts, what a prediction on so many images would be refused with at this moment, so that no body is
   * read or parsed for it. Where a cache may know the answer, a single picture is always let in. Without a model it
   * says nothing: a wrong request is told what is wrong with it first.
   */
  admit(images: number, request: PredictionRequest): void;
  /** What the served model sees in an image file. Throws what `Engine.predictImage` throws. */
  image(bytes: Uint8Array, request: PredictionRequest): Promise<Predicted>;
  /** The same for `count` images of 224×224 RGB pixels, in their order. */
  pixels(pixels: Uint8Array, count: number, request: PredictionRequest): Promise<Predicted[]>;
  /** A prediction and which places of the picture speak for it. Throws what `Engine.explainImage` throws. */
  explain(
    bytes: Uint8Array,
    explain: ExplainOptions,
    request: PredictionRequest,
  ): Promise<Predicted & { explanation: Explanation }>;
}

type PredictorMetrics = Omit<PredictionMetrics, 'countPredictionError'> &
  Pick<ExplanationMetrics, 'countExplanation'> &
  Pick<RequestMetrics, 'countShed'> &
  Pick<CacheMetrics, 'countCache'>;

export interface PredictorOptions {
  host: Pick<ModelHost, 'current'>;
  metrics: PredictorMetrics;
  predictionLog: Pick<PredictionLog, 'keep'>;
  inputKeeping: Pick<InputCapture, 'offer'>;
  modelName: string;
  /** Answers to pictures that came before; none are kept without it. */
  cache?: PredictionCache | null;
}

export function createPredictor(options: PredictorOptions): Predictor {
  return new CountingPredictor(options);
}

type Picture = Omit<OfferedInput, 'predictionId'>;

interface Recalled {
  imageSha256: string;
  prediction: Prediction;
  /** Whether the model was not asked for it again. */
  isKnown: boolean;
}

class CountingPredictor implements Predictor {
  constructor(private readonly options: PredictorOptions) {}

  served(): ServedModel {
    return modelOf(this.options.host.current(), this.options.modelName);
  }

  admit(images: number, { route, ...job }: PredictionRequest): void {
    if (this.options.cache && route === 'predict') return;
    try {
      this.options.host.current()?.engine.admit(images, job);
    } catch (error) {
      this.countRefusal(error);
      throw error;
    }
  }

  async image(bytes: Uint8Array, { route, ...job }: PredictionRequest): Promise<Predicted> {
    const served = this.served();
    const startedAt = performance.now();
    const { imageSha256, prediction, isKnown } = await this.predictOrRecall(served, bytes, job);
    const latencyMs = performance.now() - startedAt;
    const version = String(served.version.version);
    if (isKnown) this.options.metrics.countKnownPrediction(version, prediction, latencyMs / 1000);
    else this.options.metrics.countPrediction(version, prediction, latencyMs / 1000);
    return this.keep(served, prediction, { route, picture: { imageSha256, bytes }, latencyMs });
  }

  async pixels(pixels: Uint8Array, count: number, { route, ...job }: PredictionRequest): Promise<Predicted[]> {
    const served = this.served();
    const startedAt = performance.now();
    const predictions = await this.countingShed(served.engine.predictPixels(pixels, count, job));
    const latencyMs = performance.now() - startedAt;
    return predictions.map((prediction) => {
      this.options.metrics.countTensorPrediction(String(served.version.version), prediction);
      return this.keep(served, prediction, { route, picture: null, latencyMs });
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
      this.countingShed(served.engine.explainImage(bytes, explain, job)),
    ]);
    const latencyMs = performance.now() - startedAt;
    this.options.metrics.countTensorPrediction(String(served.version.version), explanation.prediction);
    this.options.metrics.countExplanation(explanation.method, latencyMs / 1000);
    const facts = { route, picture: { imageSha256, bytes }, latencyMs };
    return { ...this.keep(served, explanation.prediction, facts), explanation };
  }

  /** Asks the cache, if there is one, before the engine; without one the picture is summed meanwhile. */
  private async predictOrRecall(served: ServedModel, bytes: Uint8Array, job: JobOptions): Promise<Recalled> {
    const { cache, metrics } = this.options;
    const predict = (): Promise<Prediction> => this.countingShed(served.engine.predictImage(bytes, job));
    if (!cache) {
      const [imageSha256, prediction] = await Promise.all([sha256Of(bytes), predict()]);
      return { imageSha256, prediction, isKnown: false };
    }
    const imageSha256 = await sha256Of(bytes);
    // Whoever has a deadline or time to spare would impose it on who joins.
    const canJoin = job.deadlineAt === undefined && job.priority !== 'background';
    const { prediction, result } = await cache.answer(cacheKey(served, imageSha256), predict, canJoin);
    metrics.countCache(result);
    return { imageSha256, prediction, isKnown: result !== 'miss' };
  }

  private keep(
    served: ServedModel,
    prediction: Prediction,
    { picture, ...facts }: { route: PredictionRoute; picture: Picture | null; latencyMs: number },
  ): Predicted {
    const abstained = served.abstainBelow !== null && prediction.confidence < served.abstainBelow;
    const imageSha256 = picture?.imageSha256 ?? null;
    const predictionId = this.options.predictionLog.keep(served, { ...facts, imageSha256, prediction, abstained });
    if (picture) this.options.inputKeeping.offer(served, { ...picture, predictionId });
    return { served, prediction, abstained, predictionId, latencyMs: facts.latencyMs };
  }

  /** Counts what the engine refuses because others wait already. */
  private async countingShed<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.countRefusal(error);
      throw error;
    }
  }

  private countRefusal(error: unknown): void {
    if (errorCodeOf(error) === 'overloaded') this.options.metrics.countShed(shedReasonOf(error));
  }
}
