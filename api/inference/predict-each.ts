import { concurrently } from '../../platform/concurrently.js';
import type { PredictionRequest } from './predictor.js';

/** Images of one request that are predicted at once: one client must not fill the engine's queue. */
const mostAtOnce = 4;

/** Does `work` for every item of a request, as `concurrently`. */
export function predictEach<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  return concurrently(items, mostAtOnce, work);
}

/**
 * What each of several files of a request is predicted with. Its latency counts from now: that it comes behind others of
 * its own request says nothing of how long anybody else has to wait. A file that is alone brings what it has waited.
 */
export function requestOfFile(request: PredictionRequest, files: number): PredictionRequest {
  return files > 1 ? { ...request, receivedAt: performance.now() } : request;
}
