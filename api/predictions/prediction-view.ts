import type { z } from 'zod';
import { toSnake } from '../../contracts/http/snake-shape.js';
import {
  capturedInputViewSchema,
  feedbackViewSchema,
  storedPredictionViewSchema,
  type FeedbackView,
  type ProductionAccuracyView,
  type StoredPredictionView,
} from '../../contracts/predictions/http-predictions.js';
import { accuracyOf } from '../../domain/predictions/accuracy.js';
import type { ConfusionCount, Feedback } from '../../stores/predictions/feedback.js';
import type { PredictionInput } from '../../stores/predictions/prediction-inputs.js';
import type { StoredPrediction } from '../../stores/predictions/predictions.js';
import { groupBy } from '../http/group-by.js';

/** A stored prediction as JSON. */
export function storedPredictionView(prediction: StoredPrediction): StoredPredictionView {
  return toSnake(storedPredictionViewSchema, {
    ...prediction,
    predictionId: prediction.id,
    modelVersion: prediction.version,
    prediction: prediction.predicted,
  });
}

/** A captured input as JSON. */
export function capturedInputView(input: PredictionInput): z.input<typeof capturedInputViewSchema> {
  return toSnake(capturedInputViewSchema, { ...input, kept: true });
}

/** A label that a client sent, as JSON. */
export function feedbackView(feedback: Feedback): FeedbackView {
  return toSnake(feedbackViewSchema, {
    ...feedback,
    feedbackId: feedback.id,
    modelVersion: feedback.version,
    correct: feedback.label === feedback.predicted,
  });
}

/** Accuracy over all versions and of each. */
export function productionAccuracyView(modelName: string, counts: readonly ConfusionCount[]): ProductionAccuracyView {
  const versions = [...groupBy(counts, ({ version }) => String(version))];
  return {
    model_name: modelName,
    ...accuracyOf(counts),
    versions: versions.map(([version, ofVersion]) => ({
      version,
      ...accuracyOf(ofVersion),
      confusion: confusionOf(ofVersion),
    })),
  };
}

function confusionOf(counts: readonly ConfusionCount[]): Record<string, Record<string, number>> {
  const rows = [...groupBy(counts, ({ label }) => label)];
  return Object.fromEntries(
    rows.map(([label, row]) => [
      label,
      Object.fromEntries(row.map(({ predicted, predictions }) => [predicted, predictions])),
    ]),
  );
}
