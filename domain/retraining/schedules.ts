import type { ScheduleSpec } from '@temporalio/client';
import { PerennialError } from '../../contracts/errors.js';
import type { HourWindow, ScheduleSetting } from '../../contracts/retraining/schedules.js';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** Not everything that runs every few hours should begin on the hour. */
const offsetLimit = 15 * minute;

/**
 * When Temporal is to act for a setting. An interval alone counts from the epoch. With an hour window, an interval of
 * whole days begins at the first moment that is inside the window all year round, whatever daylight saving time does,
 * and its jitter spreads over the rest: every run is due once and lies in the window. A calendar would lose the run
 * of a night whose hour is left out. Throws `bad_request` for a window that cannot be kept.
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
      'An hour window goes with an interval of whole days. Leave the window away (null) or set the interval to days.',
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

/** A setting as a person says it. */
export function describeSetting({ everySeconds, hourWindow, timeZone, jitterSeconds }: ScheduleSetting): string {
  const every = `every ${durationOf(everySeconds)}`;
  if (hourWindow) return `${every} between ${clock(hourWindow.from)} and ${clock(hourWindow.to)}, ${timeZone}`;
  const late = jitterSeconds === null || jitterSeconds === 0 ? '' : `, up to ${durationOf(jitterSeconds)} later`;
  return `${every}${late}`;
}

/** Seconds after midnight UTC at which the window is open under every offset of its zone, and for how long. */
function steadyPart(window: HourWindow, offsets: readonly number[]): { start: number; length: number } {
  const start = window.from * hour - Math.min(...offsets);
  const end = window.from * hour + lengthOf(window) - Math.max(...offsets);
  return { start, length: end - start };
}

/** A window no longer than daylight saving time moves it: only a calendar follows it. */
function calendarOf({ everySeconds, timeZone, jitterSeconds }: ScheduleSetting, window: HourWindow): ScheduleSpec {
  const daily = { hour: window.from, minute: 0, second: 0 };
  const jitter = Math.min(jitterSeconds ?? lengthOf(window), lengthOf(window)) * 1000;
  if (everySeconds === day) return { calendars: [daily], jitter, timezone: timeZone };
  // Clocks are changed at weekends.
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

/** Seconds by which local time is ahead of UTC, at any time in the year from `now` on. */
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
