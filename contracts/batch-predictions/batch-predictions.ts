import { z } from 'zod';
import { labelCounts } from '../datasets/by-label.js';
import { variants } from '../registry/bundle.js';
import { nameSchema } from '../datasets/datasets.js';
import { modelNameSchema } from '../registry/registry.js';

/** Formats of results. */
export const batchFormats = ['parquet', 'csv', 'json'] as const;
export const batchFormatSchema = z.enum(batchFormats);
export type BatchFormat = (typeof batchFormats)[number];

/** `waiting`: requested, not started by a worker. */
export const batchStatuses = ['waiting', 'running', 'completed', 'failed', 'cancelled'] as const;
export type BatchStatus = (typeof batchStatuses)[number];

/** Source of the images of a batch prediction. */
export const batchSourceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('prefix'), prefix: z.string() }),
  z.object({ kind: z.literal('dataset'), dataset: nameSchema, version: z.number().int() }),
  z.object({ kind: z.literal('upload'), uploadId: z.uuid() }),
]);
export type BatchSource = z.infer<typeof batchSourceSchema>;

/** The resolved request of a batch prediction. Later promotions do not change it. */
export const batchOrderSchema = z.object({
  modelName: modelNameSchema,
  version: z.number().int(),
  /** The model's classes, in the order of its probabilities. */
  labels: z.array(z.string()),
  source: batchSourceSchema,
  formats: z.array(batchFormatSchema).min(1),
  /** Target risk of the model's policy at the request; decides which answers count as abstained. */
  targetRisk: z.number(),
});
export type BatchOrder = z.infer<typeof batchOrderSchema>;

export interface BatchInput {
  jobId: string;
  modelName: string;
  dataset: string | null;
}

/** An image in the list of a batch prediction. */
export const batchItemSchema = z.object({
  /** Display name: key, file name, or digest of a dataset image. */
  name: z.string(),
  objectKey: z.string(),
  sizeBytes: z.number(),
  /** Its label, for images of a dataset. */
  label: z.string().nullable(),
});
export type BatchItem = z.infer<typeof batchItemSchema>;

/** The result for one image: a prediction, or the reason why there is none. */
export const batchRowSchema = z.object({
  /** Position in the list, from 0. */
  item: z.number().int(),
  name: z.string(),
  label: z.string().nullable(),
  imageSha256: z.string().nullable(),
  prediction: z.string().nullable(),
  confidence: z.number().nullable(),
  /** In the order of the model's labels; empty when there is no prediction. */
  probabilities: z.array(z.number()),
  /** The precision variant that answered. */
  variant: z.enum(variants).nullable(),
  /** Null without a prediction, like the distance. */
  abstained: z.boolean().nullable(),
  unfamiliar: z.boolean().nullable(),
  distance: z.number().nullable(),
  errorCode: z.string().nullable(),
  error: z.string().nullable(),
});
export type BatchRow = z.infer<typeof batchRowSchema>;

/** The stored list, for later steps. */
export interface BatchList {
  items: number;
  chunks: number;
}

export interface ChunkResult {
  items: number;
  failed: number;
}

export const batchResultSchema = z.object({
  jobId: z.string(),
  items: z.number().int(),
  failed: z.number().int(),
  predicted: labelCounts().describe('predictions of each class'),
});
export type BatchResult = z.infer<typeof batchResultSchema>;
