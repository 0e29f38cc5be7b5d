import { z } from 'zod';
import { attemptStatuses } from '../workflows/runs.js';

/** An attempt at a piece of work of a pipeline, with what was logged during it. */
export const attemptViewSchema = z
  .object({
    activity: z.string(),
    attempt: z.number().int(),
    step: z.string().nullable().describe('the step of the pipeline that it belongs to, where that can be told'),
    status: z.enum(attemptStatuses).describe('lost: nobody told its end, and work went on without it'),
    workflow_id: z.string(),
    run_id: z.string(),
    activity_id: z.string(),
    task_queue: z.string(),
    worker: z.string(),
    started_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
    duration_ms: z.number().int().nullable(),
    error: z
      .object({ code: z.string(), message: z.string(), retryable: z.boolean().describe('whether it was tried again') })
      .nullable(),
    log: z.array(
      z.object({
        at: z.string().nullable(),
        level: z.string(),
        message: z.string(),
        fields: z.record(z.string(), z.unknown()),
      }),
    ),
    dropped_lines: z.number().int().describe('earlier lines of the log that were too many to keep'),
  })
  .meta({ id: 'Attempt' });
