import { z } from 'zod';
import { labelNumbers } from '../datasets/by-label.js';
import { variants } from '../registry/bundle.js';
import { abstentionViewSchema } from '../registry/http-calibration.js';

export const predictionSchema = z
  .object({
    prediction: z.string(),
    confidence: z.number(),
    probabilities: labelNumbers(),
    abstained: z.boolean().describe('whether the confidence is too low for the target risk of the model'),
    unfamiliar: z
      .boolean()
      .describe('whether the image is out-of-distribution: unlike anything the model was trained on'),
    distance: z.number().nullable().describe('Euclidean distance to the nearest training image (unit vectors), 0 to 2'),
    model_name: z.string(),
    model_version: z.string(),
    timestamp: z.iso.datetime(),
    prediction_id: z.uuid(),
  })
  .meta({ id: 'Prediction' });

export const invocationsResponseSchema = z.object({ predictions: z.array(z.array(z.number())) });

export const modelInfoSchema = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    stage: z.string(),
    architecture: z.string(),
    labels: z.array(z.string()),
    variant: z.enum(variants).describe('the served precision variant'),
    input: z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.number()) }),
    dataset: z.string(),
    dataset_version: z.number().int(),
    run_id: z.string(),
    bundle_sha256: z.string(),
    size_bytes: z.number().int(),
    generation: z.number().int(),
    loaded_at: z.iso.datetime(),
    metrics: z.record(z.string(), z.unknown()),
    calibration: abstentionViewSchema.extend({
      calibration_error: z.number().nullable().describe('on the test split; null for bundles without it'),
    }),
  })
  .meta({ id: 'ModelInfo' });
