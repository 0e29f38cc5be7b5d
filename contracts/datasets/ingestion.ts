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
  trigger: triggerSchema,
  requestId: z.string(),
});
export type IngestionInput = z.infer<typeof ingestionInputSchema>;

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
  statistics: datasetStatisticsSchema,
  // Results of earlier releases lack both.
  counts: ingestionCountsSchema.nullable().default(null).describe('what became of the files; adds up to `files`'),
  warnings: z.array(z.string()).default([]).describe('what a person should look at'),
  /** For example that the images are synthetic. */
  note: z.string().nullable(),
});
export type IngestionResult = z.infer<typeof ingestionResultSchema>;
