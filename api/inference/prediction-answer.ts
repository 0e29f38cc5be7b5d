import type { z } from 'zod';
import type { predictionSchema } from '../../contracts/inference/http-predict.js';
import type { Predicted } from './predictor.js';

/** A prediction as JSON, shared by all routes. */
export function predictionView(predicted: Predicted): z.input<typeof predictionSchema> {
  const { served, prediction, abstained, predictionId } = predicted;
  const { engine, version } = served;
  const probabilities = engine.labels.map((label, index) => [label, prediction.probabilities[index] ?? 0] as const);
  return {
    prediction: prediction.label,
    confidence: prediction.confidence,
    probabilities: Object.fromEntries(probabilities),
    abstained,
    unfamiliar: prediction.oodScore?.outOfDistribution ?? false,
    distance: prediction.oodScore?.distance ?? null,
    model_name: version.modelName,
    model_version: String(version.version),
    timestamp: new Date().toISOString(),
    prediction_id: predictionId,
  };
}
