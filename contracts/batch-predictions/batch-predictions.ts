import { z } from 'zod';
import { variants } from '../registry/bundle.js';
import { nameSchema } from '../datasets/datasets.js';
import { modelNameSchema } from '../registry/registry.js';

/** The forms in which results are written. */
export const batchFormats = ['parquet', 'csv', 'json'] as const;
export const batchFormatSchema = z.enum(batchFormats);
export type BatchFormat = (typeof batchFormats)[number];

/** `waiting`: asked for, and no worker has taken it up. */
export const batchStatuses = ['waiting', 'running', 'completed', 'failed', 'cancelled'] as const;
export type BatchStatus = (typeof batchStatuses)[number];

/** Where the pictures of a batch prediction are. */
export const batchSourceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('prefix'), prefix: z.string() }),
  z.object({ kind: z.literal('dataset'), dataset: nameSchema, version: z.number().int() }),
  z.object({ kind: z.literal('upload'), uploadId: z.uuid() }),
]);
export type BatchSource = z.infer<typeof batchSourceSchema>;

/** What a batch prediction was asked for. It stays as it is, whatever becomes Production meanwhile. */
export const batchOrderSchema = z.object({
  modelName: modelNameSchema,
  version: z.number().int(),
  /** The model's classes, in the order of its probabilities. */
  labels: z.array(z.string()),
  source: batchSourceSchema,
  formats: z.array(batchFormatSchema).min(1),
  /** Share of wrong answers that the model's policy accepted then; it decides which answers count as abstained. */
  targetRisk: z.number(),
});
export type BatchOrder = z.infer<typeof batchOrderSchema>;

export interface BatchInput {
  jobId: string;
  modelName: string;
  dataset: string | null;
}

/** A picture of the list that a batch prediction works through. */
export const batchItemSchema = z.object({
  /** Its name for people: key, file name, or hash of an image of a dataset. */
  name: z.string(),
  objectKey: z.string(),
  sizeBytes: z.number(),
  /** The class it shows, for images of a dataset. */
  label: z.string().nullable(),
});
export type BatchItem = z.infer<typeof batchItemSchema>;

/** What became of one picture: a prediction, or the reason why there is none. */
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
  /** The form of the network that answered. */
  variant: z.enum(variants).nullable(),
  /** Null when there is no prediction, as the distance is. */
  abstained: z.boolean().nullable(),
  unfamiliar: z.boolean().nullable(),
  distance: z.number().nullable(),
  errorCode: z.string().nullable(),
  error: z.string().nullable(),
});
export type BatchRow = z.infer<typeof batchRowSchema>;

/** The list, as later steps know it. */
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
  predicted: z.record(z.string(), z.number().int()).describe('predictions of each class'),
});
export type BatchResult = z.infer<typeof batchResultSchema>;
