import { collectDefaultMetrics, Registry } from 'prom-client';
import { errorCodeOf } from '../contracts/errors.js';
import { shedReasonOf } from '../model/serving/admission.js';
import { createExplanationMetrics } from './inference/metrics/explanation-metrics.js';
import { createCacheMetrics } from './inference/metrics/cache-metrics.js';
import { createFeedbackMetrics, type FeedbackMetrics } from './predictions/prediction-metrics.js';
import { createRequestMetrics, type RequestMetrics, type SeriesRegistry } from './http/request-metrics.js';
import { createPredictionMetrics, type PredictionMetrics } from './inference/metrics/prediction-metrics.js';
import type { PredictionListener } from './inference/prediction-events.js';
import { createStorageMetrics, type StorageMetrics } from './health/storage-metrics.js';
import type { MetricsExposition } from './health/health-routes.js';
import { createModelMetrics, type ModelMetrics } from './model-host/model-metrics.js';

/** The series of every room. */
export type ApiMetrics = RequestMetrics &
  PredictionMetrics &
  PredictionListener &
  ModelMetrics &
  FeedbackMetrics &
  StorageMetrics &
  SeriesRegistry &
  MetricsExposition;

/** All series of the API in a separate registry. `queueLength` is called at each scrape. */
export function createApiMetrics(queueLength: () => number): ApiMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = createRequestMetrics(registry);
  const predictions = createPredictionMetrics(registry);
  const cache = createCacheMetrics(registry);
  const explanations = createExplanationMetrics(registry);
  const showFacts = createModelMetrics(registry, queueLength);
  return {
    ...requests,
    ...createFeedbackMetrics(registry),
    ...createStorageMetrics(registry),
    countPredictionError: predictions.countPredictionError,
    onPredicted(event) {
      predictions.onPredicted(event);
      cache.onPredicted(event);
      explanations.onPredicted(event);
    },
    onFailed({ error }) {
      if (errorCodeOf(error) === 'overloaded') requests.countShed(shedReasonOf(error));
    },
    showModel(served) {
      showFacts(served);
      if (served) predictions.startSeries(String(served.version.version), served.engine.labels);
    },
    addSeries: (add) => add(registry),
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
