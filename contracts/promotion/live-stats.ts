import { z } from 'zod';
import { labelCounts } from '../datasets/by-label.js';

/** Statistics of a replica's predictions since it serves a generation. */
export const liveStatsSchema = z.object({
  generation: z.number().int(),
  version: z.number().int(),
  predictions: z.number().int(),
  errors: z.number().int().describe('predictions with server errors; client errors do not count'),
  p95Ms: z.number().nullable().describe('of the latest predictions'),
  confidenceSum: z.number(),
  classes: labelCounts(),
});
export type LiveStats = z.infer<typeof liveStatsSchema>;

/** Statistics of the version that a replica serves, and of the previous one. */
export const replicaStatsSchema = z.object({
  current: liveStatsSchema.nullable(),
  former: liveStatsSchema.nullable(),
});
