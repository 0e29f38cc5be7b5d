import { clockChanges, clockOf, type ClockChange } from './time-zones.js';

const hour = 3600;
const day = 24 * hour;

/** Years after and before the setting for which the nights of a change are listed; a backfill may ask for the latter. */
export const foreseenYears = 10;
const rememberedYears = 10;

/** Day of the week as JavaScript counts it. */
export const wednesday = 3;

/** A night in which an hour of the day exists twice or never. */
export interface ChangedNight {
  /** The date as the calendar of Temporal names it. */
  date: { year: number; month: Month; dayOfMonth: number };
  weekday: number;
  /** The one time at which a run of this night is due, in seconds since the epoch. */
  at: number;
  change: ClockChange;
}

const months = [
  'JANUARY',
  'FEBRUARY',
  'MARCH',
  'APRIL',
  'MAY',
  'JUNE',
  'JULY',
  'AUGUST',
  'SEPTEMBER',
  'OCTOBER',
  'NOVEMBER',
  'DECEMBER',
] as const;
type Month = (typeof months)[number];

/** The nights in which the hour exists twice, when its first time counts, or never, when the change of the clocks does. */
export function changedNights(timeZone: string, hourOfDay: number, now: Date): ChangedNight[] {
  const begin = Math.floor(now.getTime() / 1000);
  const changes = clockChanges(
    clockOf(timeZone),
    begin - rememberedYears * 366 * day,
    begin + foreseenYears * 366 * day,
  );
  return changes.flatMap((change) => nightsOf(change, hourOfDay));
}

function nightsOf(change: ClockChange, hourOfDay: number): ChangedNight[] {
  const { at, before, after } = change;
  // Local times in [low, high) exist twice when the clocks are put back, and never when they are put forward.
  const [low, high] = [at + Math.min(before, after), at + Math.max(before, after)];
  const first = Math.ceil((low - hourOfDay * hour) / day) * day + hourOfDay * hour;
  if (first >= high) return [];
  const isMissing = after > before;
  // A day that a zone skips as a whole has no night.
  if (isMissing && high - low >= day) return [];
  const local = new Date(first * 1000);
  return [
    {
      date: {
        year: local.getUTCFullYear(),
        month: months[local.getUTCMonth()] ?? 'JANUARY',
        dayOfMonth: local.getUTCDate(),
      },
      weekday: local.getUTCDay(),
      at: isMissing ? at : first - before,
      change,
    },
  ];
}
