import { z } from 'zod';
import { triggerSchema } from '../workflows/runs.js';
import { nameSchema, sourceSchema, datasetStatisticsSchema } from './datasets.js';

export const ingestionInputSchema = z.object({
  dataset: nameSchema,
  source: sourceSchema,
  label: z.string().optional(),
  /** Id of the source that this one takes the place of. */
  replaces: z.number().int().optional(),
  trigger: triggerSchema,
  requestId: z.string(),
});
export type IngestionInput = z.infer<typeof ingestionInputSchema>;

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
  /** For example that the images are synthetic. */
  note: z.string().nullable(),
});
export type IngestionResult = z.infer<typeof ingestionResultSchema>;
