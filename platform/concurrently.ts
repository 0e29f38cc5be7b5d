/**
 * Calls `work` for every item, at most `limit` at a time, and gives the results in the items' order. The first
 * failure, or the signal, stops new calls; calls under way are awaited, so that none outlives the return. Of several
 * failures the one of the earliest item is thrown, as a loop would throw it.
 */
export async function concurrently<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = [];
  const failures = new Map<number, unknown>();
  const remaining = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of remaining) {
      try {
        signal?.throwIfAborted();
        results[index] = await work(item, index);
      } catch (error) {
        failures.set(index, error);
      }
      if (failures.size > 0) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failures.size === 0) return results;
  signal?.throwIfAborted();
  throw failures.get(Math.min(...failures.keys()));
}

/** Runs a limited number of tasks at once; the others wait in order of arrival. */
export type Limiter = <T>(work: () => Promise<T>) => Promise<T>;

/** For tasks that arrive one by one; for a list use `concurrently`. */
export function createLimiter(limit: number): Limiter {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < limit) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // The task that waited longest takes over the slot, so the count does not change.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
