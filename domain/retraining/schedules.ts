import type { ScheduleSpec } from '@temporalio/client';
import { PerennialError } from '../../contracts/errors.js';
import type { HourWindow, ScheduleSetting } from '../../contracts/retraining/schedules.js';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** Runs without an hour window start up to this long after the hour, so that they do not all start on the hour. */
const offsetLimit = 15 * minute;

/**
 * Converts a setting to a Temporal schedule. An interval without a window counts from the epoch. With an hour window, an
 * interval of whole days starts at the first second that lies inside the window all year, with and without daylight
 * saving time, and its jitter covers the rest of the window: every run is due once and inside the window. A calendar
 * would lose the run in the night whose hour is skipped. Throws `bad_request` for a window that cannot be met.
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
  if (length < minute) return calendarOf(setting, hourWindow);
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

/** For a window that daylight saving time moves by its whole length: only a calendar can follow it. */
function calendarOf({ everySeconds, timeZone, jitterSeconds }: ScheduleSetting, window: HourWindow): ScheduleSpec {
  const daily = { hour: window.from, minute: 0, second: 0 };
  const jitter = Math.min(jitterSeconds ?? lengthOf(window), lengthOf(window)) * 1000;
  if (everySeconds === day) return { calendars: [daily], jitter, timezone: timeZone };
  // Not at a weekend, when clocks change.
  if (everySeconds === 7 * day)
    return { calendars: [{ ...daily, dayOfWeek: 'WEDNESDAY' }], jitter, timezone: timeZone };
  throw new PerennialError(
    'bad_request',
    `The window ${clock(window.from)} to ${clock(window.to)} in ${timeZone} moves by its whole length with daylight saving time. Make it longer, or set the interval to 1 or 7 days.`,
  );
}

function lengthOf({ from, to }: HourWindow): number {
  return ((to - from + 24) % 24) * hour;
}

/** All UTC offsets of the zone, in seconds, within a year from `now`. */
function offsetsOf(timeZone: string, now: Date): number[] {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  const samples = Array.from({ length: 74 }, (_, index) => new Date(now.getTime() + index * 5 * day * 1000));
  return [...new Set(samples.map((date) => offsetOf(format, date)))];
}

function offsetOf(format: Intl.DateTimeFormat, date: Date): number {
  const name = format.formatToParts(date).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const [, sign, hours = '0', minutes = '0'] = /GMT([+-])(\d\d):(\d\d)/.exec(name) ?? [];
  const seconds = Number(hours) * hour + Number(minutes) * minute;
  return sign === '-' ? -seconds : seconds;
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
