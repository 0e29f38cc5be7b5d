import type { z } from 'zod';
import type {
  FeedbackView,
  capturedInputViewSchema,
  ProductionAccuracyView,
  StoredPredictionView,
} from '../../contracts/predictions/http-predictions.js';
import { accuracyOf } from '../../domain/predictions/accuracy.js';
import type { ConfusionCount, Feedback } from '../../stores/predictions/feedback.js';
import type { PredictionInput } from '../../stores/predictions/prediction-inputs.js';
import type { StoredPrediction } from '../../stores/predictions/predictions.js';
import { groupBy } from '../http/group-by.js';

/** A prediction as it was kept, in the spelling of HTTP. */
export function storedPredictionView(prediction: StoredPrediction): StoredPredictionView {
  return {
    prediction_id: prediction.id,
    created_at: prediction.createdAt,
    model_name: prediction.modelName,
    model_version: String(prediction.version),
    generation: prediction.generation,
    replica: prediction.replica,
    bundle_sha256: prediction.bundleSha256,
    prediction: prediction.predicted,
    confidence: prediction.confidence,
    probabilities: prediction.probabilities,
    image_sha256: prediction.imageSha256,
    latency_ms: prediction.latencyMs,
    route: prediction.route,
    variant: prediction.variant,
    distance: prediction.distance,
    unfamiliar: prediction.unfamiliar,
    neighbour: prediction.neighbour,
    abstained: prediction.abstained,
    label: prediction.label,
    conflicted: prediction.conflicted,
    erased_at: prediction.erasedAt,
  };
}

/** A picture that is kept, in the spelling of HTTP. */
export function capturedInputView(input: PredictionInput): z.input<typeof capturedInputViewSchema> {
  const { contentType, sizeBytes, expiresAt } = input;
  return { kept: true, content_type: contentType, size_bytes: sizeBytes, expires_at: expiresAt };
}

/** A label somebody gave, in the spelling of HTTP. */
export function feedbackView(feedback: Feedback): FeedbackView {
  return {
    feedback_id: String(feedback.id),
    prediction_id: feedback.predictionId,
    model_name: feedback.modelName,
    model_version: String(feedback.version),
    predicted: feedback.predicted,
    label: feedback.label,
    correct: feedback.label === feedback.predicted,
    contradicts: feedback.contradicts,
    actor: feedback.actor,
    comment: feedback.comment,
    created_at: feedback.createdAt,
  };
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
