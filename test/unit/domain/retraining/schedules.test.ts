import fc from 'fast-check';
import {
  scheduleSettingSchema,
  timeZoneSchema,
  type ScheduleSetting,
} from '../../../../contracts/retraining/schedules.js';
import { describeSetting, specOf } from '../../../../domain/retraining/schedules.js';

const day = 86_400;
const now = new Date('2026-01-15T12:00:00Z');

function settingOf(changes: Partial<ScheduleSetting> = {}): ScheduleSetting {
  return { everySeconds: 7 * day, hourWindow: { from: 2, to: 4 }, timeZone: 'UTC', jitterSeconds: null, ...changes };
}

function hoursOf(date: Date, timeZone: string): number {
  const parts = new Intl.DateTimeFormat('en', { timeZone, hour: 'numeric', minute: 'numeric', hourCycle: 'h23' });
  const [hours = 0, minutes = 0] = parts.format(date).split(':').map(Number);
  return hours + minutes / 60;
}

/** The earliest and latest begin of every run within a year. */
function beginsOf(setting: ScheduleSetting): Date[] {
  const spec = specOf(setting, now);
  const [interval] = spec.intervals ?? [];
  const every = Number(interval?.every);
  const first = Math.ceil(now.getTime() / every) * every + Number(interval?.offset);
  const runs = Math.floor((365 * day * 1000) / every);
  return Array.from({ length: runs }, (_, index) => first + index * every).flatMap((due) => [
    new Date(due),
    new Date(due + Math.max(0, Number(spec.jitter) - 1)),
  ]);
}

describe('the times of a schedule', () => {
  it('are every seventh day, spread over the window', () => {
    expect(specOf(settingOf(), now)).toEqual({
      intervals: [{ every: 604_800_000, offset: 7_200_000 }],
      jitter: 7_200_000,
      timezone: 'UTC',
    });
  });

  it.each(['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Africa/Casablanca', 'UTC'])(
    'stay within the window all year in %s, also in the nights the clocks change',
    (timeZone) => {
      const begins = beginsOf(settingOf({ everySeconds: day, timeZone }));
      expect(begins.length).toBeGreaterThan(700);
      const outside = begins.filter((date) => hoursOf(date, timeZone) < 2 || hoursOf(date, timeZone) >= 4);
      expect(outside).toEqual([]);
    },
  );

  it('stay within windows over midnight', () => {
    const begins = beginsOf(settingOf({ hourWindow: { from: 22, to: 4 }, timeZone: 'Europe/Berlin' }));
    const outside = begins.filter((date) => {
      const hours = hoursOf(date, 'Europe/Berlin');
      return hours < 22 && hours >= 4;
    });
    expect(outside).toEqual([]);
  });

  it('stay within any window in any zone, or are a calendar where a clock change skips the whole window', () => {
    const zones = fc.constantFrom('Europe/Lisbon', 'America/St_Johns', 'Pacific/Auckland', 'Asia/Tokyo', 'UTC');
    const arbitrary = fc.record({
      from: fc.integer({ min: 0, max: 23 }),
      length: fc.integer({ min: 1, max: 23 }),
      zones,
    });
    fc.assert(
      fc.property(arbitrary, ({ from, length, zones: timeZone }) => {
        const setting = settingOf({ hourWindow: { from, to: (from + length) % 24 }, timeZone });
        if (specOf(setting, now).calendars) return length === 1;
        return beginsOf(setting).every((date) => (hoursOf(date, timeZone) - from + 24) % 24 < length);
      }),
      { numRuns: 60 },
    );
  });

  it('follow a calendar where daylight saving time moves the window by its whole length', () => {
    const short = settingOf({ hourWindow: { from: 2, to: 3 }, timeZone: 'Europe/Berlin' });
    const daily = { hour: 2, minute: 0, second: 0 };
    const weekly = specOf(short, now);
    expect(weekly.calendars).toEqual([{ ...daily, dayOfWeek: 'WEDNESDAY' }]);
    // Clocks in Berlin change on Sundays.
    expect(weekly).toMatchObject({ jitter: 3_600_000, timezone: 'Europe/Berlin' });
    expect(weekly.intervals).toBeUndefined();
    const nightly = specOf({ ...short, everySeconds: day }, now);
    expect(nightly).toMatchObject({ calendars: [daily], jitter: 3_599_000 });
    expect(nightly.skip).toContainEqual({ ...daily, year: 2026, month: 'MARCH', dayOfMonth: 29 });
    expect(nightly.intervals?.map(({ offset }) => Number(offset))).toContain(
      Date.parse('2026-10-25T00:00:01Z') % (30 * 366 * day * 1000),
    );
    expect(() => specOf({ ...short, everySeconds: 3 * day }, now)).toThrow(/longer, or set the interval to 1 or 7/);
    expect(specOf({ ...short, timeZone: 'UTC' }, now).calendars).toBeUndefined();
  });

  it('begin past the hour without a window, and later by the jitter at most', () => {
    const setting = settingOf({ everySeconds: 21_600, hourWindow: null, jitterSeconds: 300 });
    expect(specOf(setting, now)).toEqual({
      intervals: [{ every: 21_600_000, offset: 900_000 }],
      jitter: 300_000,
      timezone: 'UTC',
    });
    const fast = settingOf({ everySeconds: 60, hourWindow: null, jitterSeconds: 300 });
    expect(specOf(fast, now)).toMatchObject({ intervals: [{ every: 60_000, offset: 15_000 }], jitter: 59_000 });
  });

  it('cannot combine an interval of hours with a window', () => {
    expect(() => specOf(settingOf({ everySeconds: 21_600 }), now)).toThrow(/whole days/);
  });

  it.each([
    [settingOf({ timeZone: 'Europe/Berlin' }), 'every 7 days between 02:00 and 04:00, Europe/Berlin'],
    [settingOf({ everySeconds: 21_600, hourWindow: null, jitterSeconds: 300 }), 'every 6 hours, up to 5 minutes later'],
    [settingOf({ everySeconds: day + 5_400, hourWindow: null }), 'every 1 day 1 hour 30 minutes'],
  ])('are told in words', (setting, words) => {
    expect(describeSetting(setting)).toBe(words);
  });
});

describe('a setting', () => {
  const problems = (changes: object): string[] =>
    scheduleSettingSchema.safeParse({ ...settingOf(), ...changes }).error?.issues.map(({ message }) => message) ?? [];

  it('has an interval of a minute at least', () => {
    expect(problems({ everySeconds: 0 })).toEqual(['an interval is at least 60 seconds']);
    expect(problems({ everySeconds: 59 })).toEqual(['an interval is at least 60 seconds']);
    expect(problems({ everySeconds: 60 })).toEqual([]);
  });

  it('has a time zone that exists, in the spelling of the database', () => {
    for (const timeZone of ['Mars/Olympus', '', '+01:00', 'Europe/Nowhere']) {
      expect(problems({ timeZone })[0]).toMatch(/no time zone of that name.*Europe\/Berlin/);
    }
    expect(timeZoneSchema.parse('europe/berlin')).toBe('Europe/Berlin');
    expect(timeZoneSchema.parse('Asia/Kolkata')).toBe('Asia/Kolkata');
  });

  it('has a window with two ends', () => {
    expect(problems({ hourWindow: { from: 3, to: 3 } })).toHaveLength(1);
    const [wholeDay] = problems({ hourWindow: { from: 0, to: 24 } });
    expect(JSON.stringify(wholeDay)).toContain('for the whole day set `hour_window` to null');
    expect(problems({ hourWindow: { from: 20, to: 24 } })).toEqual([]);
    expect(problems({ hourWindow: { from: 25, to: 4 } })).toHaveLength(1);
  });
});
