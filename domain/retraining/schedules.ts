import type { ScheduleSpec } from '@temporalio/client';
import { PerennialError } from '../../contracts/errors.js';
import type { HourWindow, ScheduleSetting } from '../../contracts/retraining/schedules.js';
import { changedNights, foreseenYears, wednesday, type ChangedNight } from './changed-nights.js';
import { clockChanges, clockOf, type ClockChange } from './time-zones.js';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
const year = 366 * day;
const longInterval = 30 * year;

/** Runs without an hour window start up to this long after the hour, so that they do not all start on the hour. */
const offsetLimit = 15 * minute;

/**
 * Converts a setting to a Temporal schedule. An interval without a window counts from the epoch. With an hour window, an
 * interval of whole days starts at the first second that lies inside the window all year, with and without daylight
 * saving time, and its jitter covers the rest of the window: every run is due once and inside the window. A window
 * without such a second follows a calendar, which alone would run twice, or not at all, in a night of a change. Throws `bad_request` for a window that cannot be met.
 */
export function specOf(setting: ScheduleSetting, now: Date): ScheduleSpec {
  const { everySeconds, hourWindow, timeZone } = setting;
  if (!hourWindow) {
    const offset = Math.min(offsetLimit, Math.floor(everySeconds / 4));
    return {
      intervals: [{ every: everySeconds * 1000, offset: offset * 1000 }],
      jitter: Math.min(setting.jitterSeconds ?? 0, everySeconds - 1) * 1000,
      timezone: timeZone,
    };
  }
  if (everySeconds % day !== 0) {
    throw new PerennialError(
      'bad_request',
      'An hour window needs an interval of whole days. Set hour_window to null, or the interval to whole days.',
    );
  }
  const { start, length } = steadyPart(hourWindow, offsetsOf(timeZone, now));
  if (length < minute) return calendarOf(setting, hourWindow, now);
  const begin = ((start % everySeconds) + everySeconds) % everySeconds;
  return {
    intervals: [{ every: everySeconds * 1000, offset: begin * 1000 }],
    jitter: Math.min(setting.jitterSeconds ?? length, length) * 1000,
    timezone: timeZone,
  };
}

/** A setting in words: "every 7 days between 02:00 and 05:00, UTC". */
export function describeSetting({ everySeconds, hourWindow, timeZone, jitterSeconds }: ScheduleSetting): string {
  const every = `every ${durationOf(everySeconds)}`;
  if (hourWindow) return `${every} between ${clock(hourWindow.from)} and ${clock(hourWindow.to)}, ${timeZone}`;
  const late = jitterSeconds === null || jitterSeconds === 0 ? '' : `, up to ${durationOf(jitterSeconds)} later`;
  return `${every}${late}`;
}

/** The part of the window that is inside it under every UTC offset of its zone: start and length in seconds, in UTC. */
function steadyPart(window: HourWindow, offsets: readonly number[]): { start: number; length: number } {
  const start = window.from * hour - Math.min(...offsets);
  const end = window.from * hour + lengthOf(window) - Math.max(...offsets);
  return { start, length: end - start };
}

/** For a window that daylight saving time moves by its whole length: a calendar, whose nights of a change are corrected. */
function calendarOf(
  { everySeconds, timeZone, jitterSeconds }: ScheduleSetting,
  window: HourWindow,
  now: Date,
): ScheduleSpec {
  if (everySeconds !== day && everySeconds !== 7 * day) {
    throw new PerennialError(
      'bad_request',
      `The window ${clock(window.from)} to ${clock(window.to)} in ${timeZone} moves by its whole length with daylight saving time. Make it longer, or set the interval to 1 or 7 days.`,
    );
  }
  const nights = changedNights(timeZone, window.from, now);
  const daily = { hour: window.from, minute: 0, second: 0 };
  // Not at a weekend, when most clocks change.
  const isDue = ({ weekday }: ChangedNight): boolean => everySeconds === day || weekday === wednesday;
  const due = nights.filter(isDue);
  const space = Math.min(lengthOf(window), ...due.map(({ at, change }) => spaceAfter(at, change, window)));
  return {
    calendars: [everySeconds === day ? daily : { ...daily, dayOfWeek: 'WEDNESDAY' }],
    ...(due.length === 0
      ? {}
      : { skip: due.map(({ date }) => ({ ...daily, ...date })), intervals: due.map(({ at }) => onceAt(at)) }),
    jitter: Math.min(jitterSeconds ?? space, due.length === 0 ? space : space - 1) * 1000,
    timezone: timeZone,
  };
}

/**
 * An interval so long that it is due once; a second late, so that it is not the time that the calendar skips. Temporal
 * leaves out the first time of an interval, the offset itself: this is the second, 30 years later.
 */
function onceAt(at: number): { every: number; offset: number } {
  return { every: longInterval * 1000, offset: ((at + 1) % longInterval) * 1000 };
}

/** How long the window lasts after a run in a night of a change; a window that does not exist is not measured. */
function spaceAfter(at: number, { at: change, before, after }: ClockChange, window: HourWindow): number {
  if (at >= change) return lengthOf(window);
  const local = (((change + after) % day) + day) % day;
  const isInside = (local - window.from * hour + day) % day < lengthOf(window);
  return isInside ? lengthOf(window) + before - after : Math.min(lengthOf(window), change - at);
}

function lengthOf({ from, to }: HourWindow): number {
  return ((to - from + 24) % 24) * hour;
}

/** All UTC offsets of the zone, in seconds, over the nights that a setting is made for. */
function offsetsOf(timeZone: string, now: Date): number[] {
  const zone = clockOf(timeZone);
  const begin = Math.floor(now.getTime() / 1000);
  const changes = clockChanges(zone, begin - year, begin + foreseenYears * year);
  return [...new Set([zone.offsetAt(begin), ...changes.flatMap(({ before, after }) => [before, after])])];
}

function durationOf(seconds: number): string {
  const units = [
    ['day', day],
    ['hour', hour],
    ['minute', minute],
    ['second', 1],
  ] as const;
  const parts: string[] = [];
  let rest = seconds;
  for (const [name, size] of units) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${name}${count === 1 ? '' : 's'}`);
    rest %= size;
  }
  return parts.join(' ');
}

function clock(hours: number): string {
  return `${String(hours).padStart(2, '0')}:00`;
}
