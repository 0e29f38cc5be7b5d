import { collectDefaultMetrics, Registry } from 'prom-client';
import { createBatchMetrics, type BatchMetrics } from './inference/metrics/batch-metrics.js';
import { createExplanationMetrics, type ExplanationMetrics } from './inference/metrics/explanation-metrics.js';
import { createCacheMetrics, type CacheMetrics } from './inference/metrics/cache-metrics.js';
import { createFeedbackMetrics, type FeedbackMetrics } from './predictions/prediction-metrics.js';
import { createRequestMetrics, type RequestMetrics, type SeriesRegistry } from './http/request-metrics.js';
import { createPredictionMetrics, type PredictionMetrics } from './inference/metrics/prediction-metrics.js';
import type { MetricsExposition } from './health/health-routes.js';
import { createModelMetrics, type ModelMetrics } from './model-host/model-metrics.js';

/** The series of every room. */
export type ApiMetrics = RequestMetrics &
  PredictionMetrics &
  ModelMetrics &
  FeedbackMetrics &
  ExplanationMetrics &
  BatchMetrics &
  CacheMetrics &
  SeriesRegistry &
  MetricsExposition;

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
