import { z } from 'zod';
import { labelCounts } from '../datasets/by-label.js';
import { batchFormats, batchFormatSchema, batchStatuses } from './batch-predictions.js';
import { nameSchema } from '../datasets/datasets.js';
import { modelNameSchema } from '../registry/registry.js';

export const batchParams = z.object({ id: z.uuid() });

const version = z.int().min(1).max(2_147_483_647);

const sourceViewSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('prefix'),
    prefix: z
      .string()
      .min(1)
      .max(500)
      .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'holds no control character')
      .describe('key prefix in the bucket, for example incoming/2026-05/'),
  }),
  z.strictObject({
    kind: z.literal('dataset'),
    dataset: nameSchema,
    version: version.optional().describe('default: the current version'),
  }),
  z.strictObject({ kind: z.literal('upload'), upload_id: z.uuid() }),
]);

export const startBatchPredictionSchema = z
  .strictObject({
    source: sourceViewSchema,
    model_name: modelNameSchema.optional(),
    version: z
      .string()
      .regex(/^[1-9]\d{0,8}$/, 'is the number of a version')
      .optional()
      .describe('default: the version in Production at the request'),
    formats: z.array(batchFormatSchema).min(1).max(batchFormats.length).optional().describe('default: all'),
  })
  .meta({ id: 'StartBatchPrediction' });
export type StartBatchPrediction = z.output<typeof startBatchPredictionSchema>;

export const batchPredictionViewSchema = z
  .object({
    id: z.uuid(),
    status: z.enum(batchStatuses),
    model_name: z.string(),
    model_version: z.string(),
    source: sourceViewSchema,
    formats: z.array(batchFormatSchema),
    started_by: z.string(),
    total: z.number().int().nullable().describe('images; null until they are listed'),
    done: z.number().int().describe('finished images, including failed ones'),
    failed: z.number().int().describe('images without a prediction; their rows give the reason'),
    predicted: labelCounts().describe('predictions of each class so far'),
    images_per_second: z.number().nullable(),
    estimated_end: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
    started_at: z.iso.datetime().nullable(),
    ended_at: z.iso.datetime().nullable(),
    erased_at: z.iso.datetime().nullable().describe('when results were deleted because an image in them was erased'),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    results: z.array(
      z.object({ format: batchFormatSchema, url: z.string(), sha256: z.string(), size_bytes: z.number().int() }),
    ),
    status_url: z.string(),
    pipeline_url: z.string().nullable(),
  })
  .meta({ id: 'BatchPrediction' });

export const batchUploadViewSchema = z
  .object({ upload_id: z.uuid(), files: z.number().int(), bytes: z.number().int() })
  .meta({ id: 'BatchUpload' });

/** `result` of a completed batch prediction. */
export const batchResultViewSchema = z
  .object({
    batch_prediction_id: z.string(),
    items: z.number().int(),
    failed: z.number().int(),
    predicted: labelCounts(),
  })
  .meta({ id: 'BatchPredictionResult' });
