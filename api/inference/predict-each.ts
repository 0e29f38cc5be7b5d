import { concurrently } from '../../platform/concurrently.js';
import type { PredictionRequest } from './predictor.js';

/** Concurrent predictions per request: one client must not fill the engine's queue. */
const mostAtOnce = 4;

/** Does `work` for every item of a request, as `concurrently`. */
export function predictEach<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  return concurrently(items, mostAtOnce, work);
}

/**
 * Options of each of several files of a request. Their latency counts from now: waiting behind other files of the same
 * request is not queueing delay. A single file keeps its arrival time.
 */
export function requestOfFile(request: PredictionRequest, files: number): PredictionRequest {
  return files > 1 ? { ...request, receivedAt: performance.now() } : request;
}
