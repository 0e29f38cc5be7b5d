import { z } from 'zod';
import { attemptStatuses } from '../workflows/runs.js';

/** An activity attempt of a pipeline, with its log. */
export const attemptViewSchema = z
  .object({
    activity: z.string(),
    attempt: z.number().int(),
    step: z.string().nullable().describe('the pipeline step that it belongs to; null if unknown'),
    status: z.enum(attemptStatuses).describe('lost: no end was recorded, and work continued without it'),
    workflow_id: z.string(),
    run_id: z.string(),
    activity_id: z.string(),
    task_queue: z.string(),
    worker: z.string(),
    started_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
    duration_ms: z.number().int().nullable(),
    error: z
      .object({ code: z.string(), message: z.string(), retryable: z.boolean().describe('whether it was retried') })
      .nullable(),
    log: z.array(
      z.object({
        at: z.string().nullable(),
        level: z.string(),
        message: z.string(),
        fields: z.record(z.string(), z.unknown()),
      }),
    ),
    dropped_lines: z.number().int().describe('number of earlier log lines that were dropped'),
  })
  .meta({ id: 'Attempt' });
