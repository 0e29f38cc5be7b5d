import { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { quantizationSchema, reliabilitySchema, riskPointSchema } from './bundle.js';

/** Calibration, as JSON. */

const share = z.number().min(0).max(1);

export const abstentionViewSchema = z.object({
  target_risk: share.describe('accepted share of wrong answers, from the policy'),
  abstain_below: share.nullable().describe('answers of a lower confidence are abstentions; null: never abstains'),
  coverage: share.describe('share of held-out images that are answered'),
  risk_bound: share.nullable().describe('upper bound on the error rate of answered predictions'),
  note: z.string().describe('origin of the threshold, in a sentence'),
});

const reliabilityViewSchema = snakeShape(reliabilitySchema);

export const calibrationViewSchema = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    temperature: z.number().positive().describe('divisor of the logits; 1 without temperature scaling'),
    calibration_error: share.describe('expected calibration error on the test split, over 15 equal-width bins'),
    uncalibrated_calibration_error: share.describe('the same without temperature'),
    reliability: z.object({
      validation: reliabilityViewSchema,
      test: reliabilityViewSchema,
      uncalibrated_test: reliabilityViewSchema,
    }),
    risk_images: z.number().int().describe('held-out images of the curve'),
    risk_curve: z.array(riskPointSchema).describe('answers of at least that confidence, by ascending threshold'),
    abstention: abstentionViewSchema.describe('abstention under the current policy'),
    quantization: snakeShape(quantizationSchema).nullable().describe('the int8 variant; null without one'),
    reliability_diagram_url: z.string(),
  })
  .meta({ id: 'Calibration' });
export type CalibrationView = z.infer<typeof calibrationViewSchema>;
