import { Counter, type Registry } from 'prom-client';
import { cacheResults, type CacheResult } from '../prediction-cache.js';

export interface CacheMetrics {
  countCache(result: CacheResult): void;
}

/** Series about pictures that came before. */
export function createCacheMetrics(registry: Registry): CacheMetrics {
  const answers = new Counter({
    name: 'mlops_prediction_cache_total',
    help: 'Pictures looked for among the answers kept, by what was found',
    labelNames: ['result'],
    registers: [registry],
  });
  for (const result of cacheResults) answers.inc({ result }, 0);
  return { countCache: (result) => answers.inc({ result }) };
}
