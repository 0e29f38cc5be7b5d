import type { ScheduleSpec } from '@temporalio/client';
import { clockChanges, clockOf, type ClockChange } from '../../../../domain/retraining/time-zones.js';
import { specOf } from '../../../../domain/retraining/schedules.js';

const hour = 3_600;
const day = 24 * hour;
const year = 366 * day;
const now = new Date('2026-11-30T12:00:00Z');
const begin = now.getTime() / 1000;

interface Zone {
  name: string;
  changes: ClockChange[];
}

/** All zones of the tz database; of those whose clocks agree from `from` to `to`, one. */
function zonesBetween(from: number, to: number): Zone[] {
  const known = new Map<string, Zone>();
  for (const name of [...Intl.supportedValuesOf('timeZone'), 'UTC']) {
    const zone = clockOf(name);
    const changes = clockChanges(zone, from, to);
    const key = JSON.stringify([zone.offsetAt(from), changes]);
    if (!known.has(key)) known.set(key, { name, changes });
  }
  return [...known.values()];
}

/** Due times around a change as Temporal computes them: a calendar is due at every instant with its local time. */
function dueAround(spec: ScheduleSpec, zone: string, change: number, reach: number): number[] {
  const clock = clockOf(zone);
  const [from, to] = [change - reach, change + reach];
  const due = new Set<number>();
  const monthNumber = (month: unknown): number => new Date(`${String(month)} 1, 2000`).getMonth();
  const isSkipped = (local: Date): boolean =>
    (spec.skip ?? []).some(
      ({ year: years, month, dayOfMonth }) =>
        years === local.getUTCFullYear() &&
        monthNumber(month) === local.getUTCMonth() &&
        dayOfMonth === local.getUTCDate(),
    );
  for (const { hour: wanted, dayOfWeek } of spec.calendars ?? []) {
    for (let instant = Math.ceil(from / 900) * 900; instant < to; instant += 900) {
      const local = new Date((instant + clock.offsetAt(instant)) * 1000);
      if (local.getUTCHours() !== wanted || local.getUTCMinutes() !== 0 || isSkipped(local)) continue;
      if (dayOfWeek !== undefined && dayOfWeek !== weekdays[local.getUTCDay()]) continue;
      due.add(instant);
    }
  }
  for (const { every, offset = 0 } of spec.intervals ?? []) {
    const [seconds, phase] = [Number(every) / 1000, Number(offset) / 1000];
    for (let at = Math.ceil((from - phase) / seconds) * seconds + phase; at < to; at += seconds) {
      // Temporal leaves out the offset itself.
      if (at > phase) due.add(at);
    }
  }
  return [...due].sort((a, b) => a - b);
}

const weekdays = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'];

/** Hours of the day that a change touches, and the hours beside them. */
function touchedHours({ at, before, after }: ClockChange): number[] {
  const ends = [at + before, at + after].map((local) => Math.floor((((local % day) + day) % day) / hour));
  return ends.flatMap((one) => [one - 1, one, one + 1]).map((one) => (one + 24) % 24);
}

/** Nights around changes in which a run is lost, or due twice, in words. */
function faultsOf({ name, changes }: Zone, from: number, length: number, moment: Date, every = day): string[] {
  const hourWindow = { from, to: (from + length) % 24 };
  const spec = specOf({ everySeconds: every, hourWindow, timeZone: name, jitterSeconds: null }, moment);
  return changes.flatMap(({ at, before, after }) => {
    // A week that lacks a day has six.
    const reach = 3 * hour + (every > day && after - before >= day ? after - before : 0);
    const due = dueAround(spec, name, at, 3 * every);
    const distances = due.slice(1).map((time, index) => time - (due[index] ?? 0));
    const isOnce = due.length >= 5 && distances.every((distance) => Math.abs(distance - every) <= reach);
    const when = due.map((time) => new Date(time * 1000).toISOString()).join(' ');
    return isOnce ? [] : [`${name} ${from}-${from + length}: ${when}`];
  });
}

describe('a daily window', () => {
  it('is due once a night in every zone, in the ten years to come and in the year before', () => {
    const zones = zonesBetween(begin - year, begin + 10 * year - 10 * day);
    expect(zones.length).toBeGreaterThan(30);
    const faults = zones.flatMap((zone) => {
      const hours = new Set(zone.changes.flatMap(touchedHours));
      return [...hours].flatMap((from) => faultsOf(zone, from, 1, now));
    });
    expect(faults).toEqual([]);
  });

  it.each([
    ['America/Los_Angeles', 'an hour', '2026-06-01'],
    ['Australia/Lord_Howe', 'half an hour', '2026-06-01'],
    ['Asia/Beirut', 'at midnight', '2026-06-01'],
    ['America/Santiago', 'before midnight', '2026-06-01'],
    ['Antarctica/Troll', 'two hours', '2026-06-01'],
    ['Pacific/Apia', 'a skipped day', '2011-10-01'],
  ])(
    'is due once a night, or a week, in %s, whose clocks change by %s, with every window of one hour to a day less one',
    (name, _how, at) => {
      const moment = new Date(at);
      const zone = {
        name,
        changes: clockChanges(clockOf(name), moment.getTime() / 1000, moment.getTime() / 1000 + year),
      };
      expect(zone.changes.length).toBeGreaterThan(0);
      const windows = Array.from({ length: 24 }, (_, from) => from);
      const nightly = windows.flatMap((from) =>
        [1, 2, 3, 23].flatMap((length) => faultsOf(zone, from, length, moment)),
      );
      const weekly = windows.flatMap((from) => faultsOf(zone, from, 1, moment, 7 * day));
      expect([...nightly, ...weekly]).toEqual([]);
    },
  );
});
