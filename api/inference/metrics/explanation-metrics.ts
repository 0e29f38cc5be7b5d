import { Counter, Histogram, type Registry } from 'prom-client';
import { explanationMethods } from '../../../contracts/inference/http-explanations.js';
import type { PredictionListener } from '../prediction-events.js';

const buckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Series of explanations, separate from predictions, behind which they wait. */
export function createExplanationMetrics(registry: Registry): Pick<PredictionListener, 'onPredicted'> {
  const registers = [registry];
  const total = new Counter({
    name: 'mlops_explanations_total',
    help: 'Explanations given',
    labelNames: ['method'],
    registers,
  });
  const duration = new Histogram({
    name: 'mlops_explanation_duration_seconds',
    help: 'Time of an explanation from the complete upload to the result',
    labelNames: ['method'],
    buckets,
    registers,
  });
  for (const method of explanationMethods) total.inc({ method }, 0);
  return {
    onPredicted(event) {
      if (event.of !== 'explanation') return;
      total.inc({ method: event.method });
      duration.observe({ method: event.method }, event.latencyMs / 1000);
    },
  };
}
