import type { PredictionRequest } from './predictor.js';

/** Pictures of one request that are under way at once: as a few single clients would, so that nobody else starves. */
const mostAtOnce = 4;

/**
 * Does `work` for every item, a few at a time, in any order; the results are in the order of the items. After the first
 * failure, which is thrown, no more are begun.
 */
export async function predictEach<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Map<number, R>();
  const left = items.entries();
  const failed = new AbortController();
  const workThrough = async (): Promise<void> => {
    for (const [index, item] of left) {
      if (failed.signal.aborted) return;
      results.set(index, await work(item, index));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(mostAtOnce, items.length) }, workThrough));
  } finally {
    failed.abort();
  }
  return [...results.entries()].sort(([a], [b]) => a - b).map(([, result]) => result);
}

/**
 * What each of several files of a request is predicted with. Its latency counts from now: that it comes behind others of
 * its own request says nothing of how long anybody else has to wait. A file that is alone brings what it has waited.
 */
export function requestOfFile(request: PredictionRequest, files: number): PredictionRequest {
  return files > 1 ? { ...request, receivedAt: performance.now() } : request;
}
