import { z } from 'zod';
import {
  quantizationSchema,
  reliabilitySchema,
  riskPointSchema,
  type Quantization,
  type Reliability,
} from './bundle.js';

/** What HTTP shows of the confidence of a model. */

const share = z.number().min(0).max(1);

export const abstentionViewSchema = z.object({
  target_risk: share.describe('share of wrong answers that the policy of the model accepts'),
  abstain_below: share.nullable().describe('answers of a lower confidence are abstentions; null: it always answers'),
  coverage: share.describe('share of held-out images it answers for'),
  risk_bound: share.nullable().describe('what the share of wrong answers among those is taken for, at most'),
  note: z.string().describe('where that comes from, in a sentence'),
});
export type AbstentionView = z.infer<typeof abstentionViewSchema>;

const reliabilityViewSchema = z.object({
  images: reliabilitySchema.shape.images,
  calibration_error: reliabilitySchema.shape.calibrationError,
  bins: z
    .array(
      z.object({
        from: share,
        to: share,
        images: z.number().int(),
        mean_confidence: share.nullable(),
        accuracy: share.nullable(),
      }),
    )
    .describe('15 of equal width; of an empty one nothing is known'),
});
type ReliabilityView = z.infer<typeof reliabilityViewSchema>;

const quantization = quantizationSchema.shape;
const quantizationViewSchema = z.object({
  range_images: quantization.rangeImages,
  images: quantization.images,
  fp32_accuracy: quantization.fp32Accuracy,
  int8_accuracy: quantization.int8Accuracy,
  agreement: quantization.agreement,
  mean_absolute_difference: quantization.meanAbsoluteDifference,
  max_absolute_difference: quantization.maxAbsoluteDifference,
  size_bytes: quantization.sizeBytes,
  passed: quantization.passed,
  reasons: quantization.reasons,
});

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
    quantization: quantizationViewSchema.nullable().describe('the 8-bit form beside it; null when none was made'),
    reliability_diagram_url: z.string(),
  })
  .meta({ id: 'Calibration' });
export type CalibrationView = z.infer<typeof calibrationViewSchema>;

export function reliabilityView({ images, calibrationError, bins }: Reliability): ReliabilityView {
  return {
    images,
    calibration_error: calibrationError,
    bins: bins.map(({ meanConfidence, ...bin }) => ({ ...bin, mean_confidence: meanConfidence })),
  };
}

export function quantizationView(report: Quantization): z.infer<typeof quantizationViewSchema> {
  const { rangeImages, images, agreement, passed, reasons } = report;
  return {
    range_images: rangeImages,
    images,
    fp32_accuracy: report.fp32Accuracy,
    int8_accuracy: report.int8Accuracy,
    agreement,
    mean_absolute_difference: report.meanAbsoluteDifference,
    max_absolute_difference: report.maxAbsoluteDifference,
    size_bytes: report.sizeBytes,
    passed,
    reasons,
  };
}
