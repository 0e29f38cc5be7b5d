import { Counter, type Registry } from 'prom-client';
import { cacheResults } from '../prediction-cache.js';
import type { PredictionListener } from '../prediction-events.js';

/** Series of the prediction cache. */
export function createCacheMetrics(registry: Registry): Pick<PredictionListener, 'onPredicted'> {
  const answers = new Counter({
    name: 'mlops_prediction_cache_total',
    help: 'Lookups in the prediction cache, by result',
    labelNames: ['result'],
    registers: [registry],
  });
  for (const result of cacheResults) answers.inc({ result }, 0);
  return {
    onPredicted(event) {
      if (event.of === 'image' && event.cached !== null) answers.inc({ result: event.cached });
    },
  };
}
