import { z } from 'zod';

/** What starts by itself. The first two are there once for each model. */
export const scheduleJobs = ['mlops_retraining_pipeline', 'continuous_training', 'retention'] as const;
export type ScheduleJob = (typeof scheduleJobs)[number];

const day = 86_400;
export const intervalSchema = z
  .number()
  .int()
  .min(60, 'an interval is at least 60 seconds')
  .max(366 * day, 'an interval is at most 366 days');

/** Hours of the day, `to` not included; from 22 to 4 goes over midnight. */
export const hourWindowSchema = z
  .strictObject({ from: z.number().int().min(0).max(23), to: z.number().int().min(0).max(24) })
  .refine(({ from, to }) => from !== to % 24, 'an hour window has a beginning and another end, such as 2 to 4');
export type HourWindow = z.infer<typeof hourWindowSchema>;

/** An hour window as one writes it: `2-4`. */
export const hourRangeSchema = z
  .string()
  .refine((text) => hourWindowSchema.safeParse(hourWindowOf(text)).success, 'two hours of the day, such as 2-4');

export function hourWindowOf(range: string): HourWindow {
  const [from = Number.NaN, to = Number.NaN] = range.split('-').map(Number);
  return { from, to };
}

/** A name of the IANA time zone database, in its spelling. */
export const timeZoneSchema = z
  .string()
  .max(64)
  .transform((name, context) => {
    const known = knownTimeZone(name);
    if (known !== null) return known;
    context.addIssue('no time zone of that name; there are for instance UTC, Europe/Berlin and America/New_York');
    return z.NEVER;
  });

/** When a schedule acts. */
export const scheduleSettingSchema = z.object({
  everySeconds: intervalSchema,
  hourWindow: hourWindowSchema.nullable(),
  timeZone: timeZoneSchema,
  /** How much later than due a run may begin, so that not everything begins at once; null leaves it to the window. */
  jitterSeconds: z.number().int().min(0).max(day).nullable(),
});
export type ScheduleSetting = z.infer<typeof scheduleSettingSchema>;

/** Input of `applyRetention`. */
export interface RetentionInput {
  /** Counts what would go, and removes nothing. */
  dryRun: boolean;
  trigger: 'schedule' | 'manual';
}

/** How much of each kind went, or would go. */
export const retentionResultSchema = z.object({
  dryRun: z.boolean(),
  removed: z.record(z.string(), z.number().int()).describe('how many went, or would go, by step'),
});
export type RetentionResult = z.infer<typeof retentionResultSchema>;

function knownTimeZone(name: string): string | null {
  // Offsets such as +01:00 are no names, and the scheduler would not know them.
  if (!/^[a-z]/i.test(name)) return null;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    return timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name;
  } catch {
    return null;
  }
}
