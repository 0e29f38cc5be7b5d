import { measureStorage, type Measurement, type StorageSources } from './measure-storage.js';

/** A measurement lists the whole bucket, so it is repeated at most this often. */
const freshMs = 300_000;

/** The last measurement of the storage. A request for an old one starts the next in the background. */
export interface StorageMeter {
  /** Waits for the first measurement only. */
  latest(): Promise<Measurement>;
  /** Does not wait; null before the first measurement. */
  known(): Measurement | null;
}

export function createStorageMeter(sources: StorageSources, now: () => number = Date.now): StorageMeter {
  let last: Measurement | null = null;
  let underway: Promise<Measurement> | null = null;
  const measure = async (): Promise<Measurement> => {
    try {
      return (last = await measureStorage(sources));
    } finally {
      underway = null;
    }
  };
  const known = (): Measurement | null => {
    if (last === null || now() - last.measuredAt.getTime() > freshMs) underway ??= measure();
    return last;
  };
  return { known, latest: async () => known() ?? (await (underway ?? measure())) };
}
