import { Counter, type Registry } from 'prom-client';
import { cacheResults } from '../prediction-cache.js';
import type { PredictionListener } from '../prediction-events.js';

/** Series about pictures that came before. */
export function createCacheMetrics(registry: Registry): Pick<PredictionListener, 'onPredicted'> {
  const answers = new Counter({
    name: 'mlops_prediction_cache_total',
    help: 'Pictures looked for among the answers kept, by what was found',
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
