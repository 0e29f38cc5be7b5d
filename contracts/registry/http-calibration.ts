import { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { quantizationSchema, reliabilitySchema, riskPointSchema } from './bundle.js';

/** What HTTP shows of the confidence of a model. */

const share = z.number().min(0).max(1);

export const abstentionViewSchema = z.object({
  target_risk: share.describe('share of wrong answers that the policy of the model accepts'),
  abstain_below: share.nullable().describe('answers of a lower confidence are abstentions; null: it always answers'),
  coverage: share.describe('share of held-out images it answers for'),
  risk_bound: share.nullable().describe('what the share of wrong answers among those is taken for, at most'),
  note: z.string().describe('where that comes from, in a sentence'),
});

const reliabilityViewSchema = snakeShape(reliabilitySchema);

export const calibrationViewSchema = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    temperature: z.number().positive().describe('what logits are divided by; 1 where images gave no reason to'),
    calibration_error: share.describe('expected calibration error on the test side, over 15 equal-width bins'),
    uncalibrated_calibration_error: share.describe('the same without temperature'),
    reliability: z.object({
      validation: reliabilityViewSchema,
      test: reliabilityViewSchema,
      uncalibrated_test: reliabilityViewSchema,
    }),
    risk_images: z.number().int().describe('images the answering classifier was not trained on'),
    risk_curve: z.array(riskPointSchema).describe('answers of at least that confidence, by ascending threshold'),
    abstention: abstentionViewSchema.describe('what the present policy of the model makes of that'),
    quantization: snakeShape(quantizationSchema)
      .nullable()
      .describe('the 8-bit form beside it; null when none was made'),
    reliability_diagram_url: z.string(),
  })
  .meta({ id: 'Calibration' });
export type CalibrationView = z.infer<typeof calibrationViewSchema>;
