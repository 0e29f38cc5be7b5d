import { z } from 'zod';
import { triggerSchema } from '../workflows/runs.js';
import { labelCounts } from './by-label.js';
import {
  datasetStatisticsSchema,
  nameSchema,
  quarantineReasonSchema,
  skippedSchema,
  sourceSchema,
} from './datasets.js';

export const ingestionInputSchema = z.object({
  dataset: nameSchema,
  source: sourceSchema,
  label: z.string().optional(),
  /** Id of the source that this one takes the place of. */
  replaces: z.number().int().optional(),
  trigger: triggerSchema,
  requestId: z.string(),
  /** The model to train on the resulting version, unless it was trained on it before. */
  thenTrain: z.object({ modelName: nameSchema }).optional(),
});
export type IngestionInput = z.infer<typeof ingestionInputSchema>;

/** What became of `then_train`. */
export const startedTrainingSchema = z.object({
  modelName: z.string(),
  runId: z.string().nullable().describe('run of the retraining; null if none was started'),
  joined: z.boolean().describe('whether a retraining that had not taken its data yet includes the version'),
  reason: z.string(),
});
export type StartedTraining = z.infer<typeof startedTrainingSchema>;
/** What became of each file of an ingestion; the numbers add up to `files`. */
const ingestionCountsSchema = z.object({
  taken: z.number().int().describe('files of images that were not stored before'),
  known: z.number().int().describe('files of images that were stored already, also by an earlier file'),
  quarantined: z.partialRecord(quarantineReasonSchema, z.number().int()).describe('by reason'),
  conflicts: labelCounts().describe('files of excluded images, by label'),
  skipped: skippedSchema.describe('by kind'),
});

export const ingestionResultSchema = z.object({
  dataset: z.string(),
  version: z.number().int(),
  digest: z.string(),
  isNewVersion: z.boolean(),
  files: z.number().int(),
  newImages: z.number().int(),
  uploadedBytes: z.number().int(),
  duplicates: z.number().int(),
  quarantined: z.number().int(),
  conflicts: z.number().int(),
  /** Which sources say what about them, and what can be done; runs of earlier releases have none. */
  conflictAdvice: z.string().nullable().optional(),
  statistics: datasetStatisticsSchema,
  // Results of earlier releases lack both.
  counts: ingestionCountsSchema.nullable().default(null).describe('what became of the files; adds up to `files`'),
  warnings: z.array(z.string()).default([]).describe('what a person should look at'),
  /** For example that the images are synthetic. */
  note: z.string().nullable(),
  training: startedTrainingSchema.optional().describe('present if the request said `then_train`'),
});
export type IngestionResult = z.infer<typeof ingestionResultSchema>;
