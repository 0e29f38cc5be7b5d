import { Counter, Histogram, type Registry } from 'prom-client';
import type { ErrorCode } from '../../../contracts/errors.js';
import { latencyBuckets } from '../../http/request-metrics.js';
import type { PredictionEvent } from '../prediction-events.js';

/** Error codes of predictions; each is a series from the start, at 0. */
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
  'model_retired',
  'overloaded',
  'deadline_exceeded',
  'url_not_allowed',
  'url_unreachable',
  'internal',
] as const satisfies readonly ErrorCode[];

export interface PredictionMetrics {
  onPredicted(event: PredictionEvent): void;
  countPredictionError(code: ErrorCode): void;
}

interface PredictionSeries extends PredictionMetrics {
  /** Creates the series of every class at 0, so that rates are right from the first prediction. */
  startSeries(modelVersion: string, labels: readonly string[]): void;
}

export function createPredictionMetrics(registry: Registry): PredictionSeries {
  const series = predictionSeries(registry);
  for (const reason of predictionFaults) series.errors.inc({ reason }, 0);
  return {
    onPredicted(event) {
      const { label, confidence, phases } = event.prediction;
      series.total.inc({ model_version: String(event.served.version.version), predicted_class: label });
      series.confidence.observe(confidence);
      if (event.of !== 'image') return;
      series.duration.observe(event.latencyMs / 1000);
      // A cached answer took no time in the model.
      if (event.cached === 'hit' || event.cached === 'joined') return;
      series.inference.observe(phases.inferMs / 1000);
      series.phases.observe({ phase: 'queue' }, phases.queueMs / 1000);
      series.phases.observe({ phase: 'decode' }, phases.decodeMs / 1000);
      series.phases.observe({ phase: 'infer' }, phases.inferMs / 1000);
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
