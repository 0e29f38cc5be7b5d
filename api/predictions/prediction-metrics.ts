import { Counter, Gauge, type Registry } from 'prom-client';
import { inputResults, type InputResult } from './inputs/capture-results.js';
import type { ProductionAccuracy } from '../../contracts/predictions/predictions.js';
import { remember } from '../../platform/remember.js';

/** Production accuracy of the served version; null without labels or without an answer. */
export type AskAccuracy = () => Promise<{ modelName: string; version: number; accuracy: ProductionAccuracy } | null>;

export interface FeedbackMetrics {
  countFeedback(modelVersion: string, isCorrect: boolean): void;
  countDroppedPredictions(rows: number): void;
  countInput(result: InputResult): void;
  /** Sets the functions that a scrape calls for production accuracy and waiting predictions. */
  watchPredictions(ask: { accuracy: AskAccuracy; waiting: () => number }): void;
}

/** A scrape queries the database at most this often. */
const askEveryMs = 10_000;

/** Series of stored predictions and their labels. */
export function createFeedbackMetrics(registry: Registry): FeedbackMetrics {
  const registers = [registry];
  const labels = new Counter({
    name: 'mlops_feedback_labels_total',
    help: 'True labels given to predictions',
    labelNames: ['model_version', 'correct'],
    registers,
  });
  const dropped = new Counter({
    name: 'mlops_predictions_log_dropped_total',
    help: 'Predictions that were answered but not stored: neither Postgres nor the disk accepted them',
    registers,
  });
  const inputs = new Counter({
    name: 'mlops_prediction_inputs_total',
    help: 'Images of predictions to capture by policy, by result',
    labelNames: ['result'],
    registers,
  });
  for (const result of inputResults) inputs.inc({ result }, 0);
  return {
    countInput: (result) => inputs.inc({ result }),
    countFeedback: (modelVersion, isCorrect) => labels.inc({ model_version: modelVersion, correct: String(isCorrect) }),
    countDroppedPredictions: (rows) => dropped.inc(rows),
    watchPredictions({ accuracy, waiting }) {
      watchAccuracy(registry, accuracy);
      new Gauge({
        name: 'mlops_predictions_log_waiting',
        help: 'Predictions that are not in Postgres yet',
        registers,
        collect() {
          this.set(waiting());
        },
      });
    },
  };
}

function watchAccuracy(registry: Registry, ask: AskAccuracy): void {
  // An unavailable database must not fail the scrape.
  const current = remember(askEveryMs, () => ask().catch(() => null));
  new Gauge({
    name: 'mlops_production_accuracy_ratio',
    help: 'Share of labelled predictions of the served version that were right',
    labelNames: ['model_name', 'model_version'],
    registers: [registry],
    async collect() {
      const asked = await current();
      this.reset();
      if (!asked || asked.accuracy.accuracy === null) return;
      this.set({ model_name: asked.modelName, model_version: String(asked.version) }, asked.accuracy.accuracy);
    },
  });
}
