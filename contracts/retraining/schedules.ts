import { z } from 'zod';
import { orphanCountSchema } from '../storage/storage.js';

/** Kinds of schedules. The first two exist once per model. */
export const scheduleJobs = ['mlops_retraining_pipeline', 'continuous_training', 'retention'] as const;
export type ScheduleJob = (typeof scheduleJobs)[number];

const day = 86_400;
export const intervalSchema = z
  .number()
  .int()
  .min(60, 'an interval is at least 60 seconds')
  .max(366 * day, 'an interval is at most 366 days');

/** Hours of the day, `to` exclusive; 22 to 4 spans midnight. */
export const hourWindowSchema = z
  .strictObject({ from: z.number().int().min(0).max(23), to: z.number().int().min(0).max(24) })
  .refine(
    ({ from, to }) => from !== to % 24,
    '`from` and `to` of an hour window must be two hours of the day, such as 2 and 4; for the whole day set `hour_window` to null',
  );
export type HourWindow = z.infer<typeof hourWindowSchema>;

/** An hour window as text: `2-4`. */
export const hourRangeSchema = z
  .string()
  .refine((text) => hourWindowSchema.safeParse(hourWindowOf(text)).success, 'two hours of the day, such as 2-4');

export function hourWindowOf(range: string): HourWindow {
  const [from = Number.NaN, to = Number.NaN] = range.split('-').map(Number);
  return { from, to };
}

/** A name of the IANA time zone database. */
export const timeZoneSchema = z
  .string()
  .max(64)
  .transform((name, context) => {
    const known = knownTimeZone(name);
    if (known !== null) return known;
    context.addIssue('no time zone of that name; there are for instance UTC, Europe/Berlin and America/New_York');
    return z.NEVER;
  });

/** The setting of a schedule. */
export const scheduleSettingSchema = z.object({
  everySeconds: intervalSchema,
  hourWindow: hourWindowSchema.nullable(),
  timeZone: timeZoneSchema,
  /** Maximum random delay of a run, to spread load; null derives it from the window. */
  jitterSeconds: z.number().int().min(0).max(day).nullable(),
});
export type ScheduleSetting = z.infer<typeof scheduleSettingSchema>;

/** Input of `applyRetention`. */
export interface RetentionInput {
  /** Only counts what would be removed. */
  dryRun: boolean;
  trigger: 'schedule' | 'manual';
}

/** Numbers of removed items, or of items to remove. */
export const retentionResultSchema = z.object({
  dryRun: z.boolean(),
  removed: z.record(z.string(), z.number().int()).describe('numbers of removed items, or of items to remove, by step'),
  orphans: z
    .array(orphanCountSchema)
    .default([])
    .describe('unreferenced objects that were removed, or would be, by kind'),
});
export type RetentionResult = z.input<typeof retentionResultSchema>;

function knownTimeZone(name: string): string | null {
  // Offsets such as +01:00 are not names, and the scheduler does not support them.
  if (!/^[a-z]/i.test(name)) return null;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    return timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name;
  } catch {
    return null;
  }
}
