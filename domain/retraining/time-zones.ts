const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** Times without a change of the clocks in between are not looked at; no zone changes twice within these days. */
const sampleDays = 5;

/** A change of a zone's clocks; times in seconds since the epoch, offsets in seconds. */
export interface ClockChange {
  at: number;
  before: number;
  after: number;
}

export interface ZoneClock {
  /** The UTC offset at a time, in seconds. */
  offsetAt(seconds: number): number;
}

export function clockOf(timeZone: string): ZoneClock {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  return {
    offsetAt(seconds) {
      const name = format.formatToParts(seconds * 1000).find(({ type }) => type === 'timeZoneName')?.value ?? '';
      const [, sign, hours = '0', minutes = '0', rest = '0'] = /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(name) ?? [];
      const offset = Number(hours) * hour + Number(minutes) * minute + Number(rest);
      return sign === '-' ? -offset : offset;
    },
  };
}

/** Every change of the clocks between two times, found by samples and bisection. */
export function clockChanges({ offsetAt }: ZoneClock, from: number, to: number): ClockChange[] {
  const changes: ClockChange[] = [];
  for (let begin = from, before = offsetAt(from); begin < to; begin += sampleDays * day) {
    const after = offsetAt(begin + sampleDays * day);
    if (after !== before) {
      let [low, high] = [begin, begin + sampleDays * day];
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (offsetAt(middle) === before) low = middle;
        else high = middle;
      }
      changes.push({ at: high, before, after });
    }
    before = after;
  }
  return changes;
}
