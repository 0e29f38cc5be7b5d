import { z } from 'zod';

/** What a replica saw of its predictions since it serves a generation. */
export const liveStatsSchema = z.object({
  generation: z.number().int(),
  version: z.number().int(),
  predictions: z.number().int(),
  errors: z.number().int().describe('predictions that failed inside; what a client did wrong does not count'),
  p95Ms: z.number().nullable().describe('of the latest predictions'),
  confidenceSum: z.number(),
  classes: z.record(z.string(), z.number().int()),
});
export type LiveStats = z.infer<typeof liveStatsSchema>;

/** What a replica reports of the version it serves, and of the one it served before. */
export const replicaStatsSchema = z.object({
  current: liveStatsSchema.nullable(),
  former: liveStatsSchema.nullable(),
});
