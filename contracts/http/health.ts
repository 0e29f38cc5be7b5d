import { z } from 'zod';

export const healthSchema = z
  .object({
    status: z.enum(['healthy', 'degraded']).describe('degraded: a dependency is down'),
    version: z.string().describe('of Perennial'),
    timestamp: z.iso.datetime(),
    model_loaded: z.boolean(),
    model_name: z.string(),
    model_version: z.string().nullable(),
    uptime_seconds: z.number(),
    dependencies: z.record(z.string(), z.object({ status: z.enum(['up', 'down']), detail: z.string().optional() })),
  })
  .meta({ id: 'Health' });

export const livenessSchema = z.object({ status: z.literal('ok') });
export const readinessSchema = z.object({ status: z.enum(['ready', 'not_ready']), detail: z.string().optional() });
