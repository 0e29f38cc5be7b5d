import { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { decisionViewOfRetrainingSchema } from './http-retraining.js';
import { intervalSchema, hourWindowSchema, retentionResultSchema, scheduleJobs, timeZoneSchema } from './schedules.js';
import { runStatuses } from '../workflows/runs.js';
import { modelNameSchema } from '../registry/registry.js';

const day = 86_400;

/** Interval in one of several units. */
const intervalFields = {
  every: z
    .strictObject({
      days: z.number().int().min(0).max(366).default(0),
      hours: z.number().int().min(0).max(8784).default(0),
      minutes: z.number().int().min(0).max(527_040).default(0),
    })
    .optional(),
  interval_seconds: intervalSchema.optional(),
  every_days: z.number().int().min(1).max(366).optional(),
  every_hours: z.number().int().min(1).max(8784).optional(),
  every_minutes: z.number().int().min(1).max(527_040).optional(),
};
const intervalNames = ['every', 'interval_seconds', 'every_days', 'every_hours', 'every_minutes'] as const;

const settingFields = {
  ...intervalFields,
  hour_window: hourWindowSchema.nullable().optional().describe('hours in which a run may start; null is any'),
  time_zone: timeZoneSchema.optional().describe('IANA name of the time zone of the hour window'),
  jitter_seconds: z.number().int().min(0).max(day).nullable().optional().describe('maximum random delay'),
};

type SaidInterval = Partial<Record<(typeof intervalNames)[number], unknown>>;
const saidOnce = (body: SaidInterval): boolean => intervalNames.filter((name) => body[name] !== undefined).length <= 1;
const onceOnly = `give one of ${intervalNames.join(', ')}`;

/** Changes of a schedule; omitted fields stay. */
export const changeScheduleSchema = z
  .strictObject(settingFields)
  .refine(saidOnce, onceOnly)
  .meta({ id: 'ChangeSchedule' });

export const setRetrainingScheduleSchema = z
  .strictObject({
    ...settingFields,
    model_name: modelNameSchema.optional(),
    paused: z.boolean().optional().describe('default: unchanged'),
  })
  .refine(saidOnce, onceOnly)
  .meta({ id: 'SetRetrainingSchedule' });

export const reasonSchema = z
  .strictObject({ reason: z.string().trim().min(1).max(500).optional() })
  .meta({ id: 'ScheduleReason' });

export const backfillSchema = z
  .strictObject({
    from: z.iso.datetime({ offset: true }),
    to: z.iso.datetime({ offset: true }),
    dry_run: z.boolean().default(true).describe('only list the times'),
  })
  .meta({ id: 'Backfill' });

const scheduleSummarySchema = z.object({
  id: z.string(),
  job: z.enum(scheduleJobs),
  model_name: z.string().nullable(),
  paused: z.boolean(),
  note: z.string().nullable(),
  schedule: z.string().describe('the setting in words'),
  setting: z
    .object({
      interval_seconds: z.number().int(),
      hour_window: z.object({ from: z.number().int(), to: z.number().int() }).nullable(),
      time_zone: z.string(),
      jitter_seconds: z.number().int().nullable(),
    })
    .nullable()
    .describe('null if the schedule was changed outside this API'),
  overlap: z.literal('skip'),
  catch_up_seconds: z.number(),
  next_runs: z.array(z.iso.datetime()).describe('due times; while paused, the times at which it would be due'),
  running: z.number().int(),
  taken: z.number().int(),
  skipped_overlap: z.number().int().describe('runs skipped because the previous one was still running'),
  missed_catch_up: z.number().int().describe('runs that missed the catch-up window while Temporal was unavailable'),
});

export const scheduleViewSchema = scheduleSummarySchema
  .extend({
    last_runs: z
      .array(
        z.object({
          workflow_id: z.string(),
          run_id: z.string(),
          scheduled_at: z.iso.datetime(),
          taken_at: z.iso.datetime(),
          status: z.enum(runStatuses).nullable().describe('status of the run, if it is recorded'),
          decision: decisionViewOfRetrainingSchema.nullable(),
        }),
      )
      .describe('newest first, ten at most'),
  })
  .meta({ id: 'Schedule' });
export type ScheduleView = z.infer<typeof scheduleViewSchema>;

/** `result` of a completed retention. */
export const retentionResultViewSchema = snakeShape(retentionResultSchema).meta({ id: 'RetentionResult' });

export const startRetentionSchema = z
  .strictObject({ dry_run: z.boolean().default(true).describe('only count what would be removed') })
  .meta({ id: 'StartRetention' });

export const backfillViewSchema = z
  .object({
    schedule_id: z.string(),
    dry_run: z.boolean(),
    runs: z.number().int(),
    times: z.array(z.iso.datetime()),
  })
  .meta({ id: 'BackfillResult' });
