import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '../contracts/errors.js';
import { shedReasons as engineShedReasons } from '../model/serving/admission.js';
import type { Prediction } from '../model/serving/engine.js';
import { createBatchMetrics, type BatchMetrics } from './inference/metrics/batch-metrics.js';
import { createExplanationMetrics, type ExplanationMetrics } from './inference/metrics/explanation-metrics.js';
import { createCacheMetrics, type CacheMetrics } from './inference/metrics/cache-metrics.js';
import { createFeedbackMetrics, type FeedbackMetrics } from './predictions/prediction-metrics.js';
import type { ServedModel } from './model-host/model-host.js';

const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What can go wrong with a prediction; each is a series from the start, at 0. */
const predictionFaults = [
  'bad_request',
  'no_file',
  'too_large',
  'unsupported_type',
  'undecodable_image',
  'image_too_large',
  'image_too_small',
  'invalid_tensor',
  'no_model',
  'overloaded',
  'deadline_exceeded',
  'url_not_allowed',
  'url_unreachable',
  'internal',
] as const satisfies readonly ErrorCode[];

const shedReasons = [...engineShedReasons, 'memory', 'explanations'] as const;

export interface RequestFacts {
  method: string;
  /** Route template, never a URL. */
  route: string;
  status: number;
  seconds: number;
}

export interface ApiMetrics extends FeedbackMetrics, ExplanationMetrics, BatchMetrics, CacheMetrics {
  countRequest(facts: RequestFacts): void;
  countPrediction(modelVersion: string, prediction: Prediction, seconds: number): void;
  /** A prediction that was made before, for the same picture. */
  countKnownPrediction(modelVersion: string, prediction: Prediction, seconds: number): void;
  /** A prediction on a tensor: it is not decoded, and its time is that of its whole request. */
  countTensorPrediction(modelVersion: string, prediction: Prediction): void;
  countPredictionError(code: ErrorCode): void;
  countShed(reason: (typeof shedReasons)[number]): void;
  showModel(served: ServedModel | null): void;
  setReady(isReady: boolean): void;
  /** Adds series of what is made later than the metrics. */
  addSeries(add: (registry: Registry) => void): void;
  /** The text exposition format, and its content type. */
  expose(): Promise<{ contentType: string; text: string }>;
}

/** Every series of the API in a registry of its own. `queueLength` is asked at each scrape. */
export function createApiMetrics(queueLength: () => number): ApiMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { startSeries, ...predictions } = createPredictionMetrics(registry);
  const showFacts = createModelMetrics(registry, queueLength);
  return {
    ...createRequestMetrics(registry),
    ...createFeedbackMetrics(registry),
    ...createCacheMetrics(registry),
    ...createBatchMetrics(registry),
    ...createExplanationMetrics(registry),
    ...predictions,
    showModel(served) {
      showFacts(served);
      if (served) startSeries(String(served.version.version), served.engine.labels);
    },
    addSeries: (add) => add(registry),
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

function createRequestMetrics(registry: Registry): Pick<ApiMetrics, 'countRequest' | 'countShed' | 'setReady'> {
  const registers = [registry];
  const labelNames = ['method', 'route', 'status'] as const;
  const total = new Counter({ name: 'mlops_api_requests_total', help: 'Requests answered', labelNames, registers });
  const duration = new Histogram({
    name: 'mlops_api_request_duration_seconds',
    help: 'Time from the first byte of a request to the end of its answer',
    labelNames,
    buckets: latencyBuckets,
    registers,
  });
  const shed = new Counter({
    name: 'mlops_requests_shed_total',
    help: 'Requests refused to keep the others fast',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of shedReasons) shed.inc({ reason }, 0);
  const status = new Gauge({ name: 'api_status', help: '1 when the API can take requests', registers });
  return {
    countRequest({ method, route, status: code, seconds }) {
      const labels = { method, route, status: String(code) };
      total.inc(labels);
      duration.observe(labels, seconds);
    },
    countShed: (reason) => shed.inc({ reason }),
    setReady: (isReady) => status.set(isReady ? 1 : 0),
  };
}

interface PredictionMetrics extends Pick<
  ApiMetrics,
  'countPrediction' | 'countKnownPrediction' | 'countTensorPrediction' | 'countPredictionError'
> {
  /** Every class of a model gets its series at 0, so that rates are right from the first prediction. */
  startSeries(modelVersion: string, labels: readonly string[]): void;
}

function createPredictionMetrics(registry: Registry): PredictionMetrics {
  const series = predictionSeries(registry);
  for (const reason of predictionFaults) series.errors.inc({ reason }, 0);
  return {
    countPrediction(modelVersion, { label, confidence, phases }, seconds) {
      series.total.inc({ model_version: modelVersion, predicted_class: label });
      series.duration.observe(seconds);
      series.confidence.observe(confidence);
      series.inference.observe(phases.inferMs / 1000);
      series.phases.observe({ phase: 'queue' }, phases.queueMs / 1000);
      series.phases.observe({ phase: 'decode' }, phases.decodeMs / 1000);
      series.phases.observe({ phase: 'infer' }, phases.inferMs / 1000);
    },
    countKnownPrediction(modelVersion, { label, confidence }, seconds) {
      series.total.inc({ model_version: modelVersion, predicted_class: label });
      series.duration.observe(seconds);
      series.confidence.observe(confidence);
    },
    countTensorPrediction(modelVersion, { label, confidence }) {
      series.total.inc({ model_version: modelVersion, predicted_class: label });
      series.confidence.observe(confidence);
    },
    countPredictionError: (reason) => series.errors.inc({ reason }),
    startSeries(modelVersion, labels) {
      for (const label of labels) series.total.inc({ model_version: modelVersion, predicted_class: label }, 0);
    },
  };
}

function predictionSeries(registry: Registry) {
  const registers = [registry];
  const buckets = latencyBuckets;
  return {
    total: new Counter({
      name: 'predictions_total',
      help: 'Predictions made',
      labelNames: ['model_version', 'predicted_class'],
      registers,
    }),
    duration: new Histogram({
      name: 'prediction_duration_seconds',
      help: 'Time of a prediction from the complete upload to the result',
      buckets,
      registers,
    }),
    errors: new Counter({
      name: 'prediction_errors_total',
      help: 'Predictions that failed, by code of the problem',
      labelNames: ['reason'],
      registers,
    }),
    confidence: new Histogram({
      name: 'mlops_model_confidence',
      help: 'Probability of the predicted class',
      buckets: [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1],
      registers,
    }),
    inference: new Histogram({
      name: 'model_inference_time_seconds',
      help: 'Time inside the model alone',
      buckets,
      registers,
    }),
    phases: new Histogram({
      name: 'mlops_prediction_phase_seconds',
      help: 'Time of each phase of a prediction',
      labelNames: ['phase'],
      buckets,
      registers,
    }),
  };
}

function createModelMetrics(registry: Registry, queueLength: () => number): ApiMetrics['showModel'] {
  const registers = [registry];
  const labelNames = ['model_name', 'model_version', 'architecture', 'dataset', 'dataset_version'] as const;
  const info = new Gauge({ name: 'model_info', help: 'The model being served', labelNames, registers });
  const accuracy = new Gauge({
    name: 'model_accuracy',
    help: 'Accuracy of the served model on its test images',
    labelNames: ['model_name', 'model_version'],
    registers,
  });
  new Gauge({
    name: 'mlops_queue_items',
    help: 'Predictions that wait for a thread',
    registers,
    collect() {
      this.set(queueLength());
    },
  });
  return (served) => {
    info.reset();
    accuracy.reset();
    if (!served) return;
    const { modelName, version, architecture, dataset, datasetVersion, evaluation } = served.version;
    const model = { model_name: modelName, model_version: String(version) };
    info.set({ ...model, architecture, dataset, dataset_version: String(datasetVersion) }, 1);
    accuracy.set(model, evaluation.accuracy);
  };
}
