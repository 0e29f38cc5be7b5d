import { PerennialError, messageOf } from '../../contracts/errors.js';
import type { QueuedJob } from './job-queue.js';
import type { JobOutcome } from './messages.js';
import type { Outcome } from './thread.js';

/** Gives a job the outcome that its thread answered. Returns how long the thread was busy with it; null if it was refused. */
export function settle(queuedJob: QueuedJob, outcome: JobOutcome): number | null {
  if (outcome.type === 'refused') {
    queuedJob.reject(new PerennialError(outcome.code, outcome.message));
    return null;
  }
  const busyMs = outcome.decodeMs + outcome.inferMs;
  const queueMs = Math.max(0, performance.now() - queuedJob.request.acceptedAt - busyMs);
  queuedJob.resolve({ ...outcome, queueMs });
  return busyMs;
}

/** The outcome of a job that could not be posted: the fault is not the thread's. */
export function dispatchFailed(error: unknown): Outcome {
  const message = `The job could not be sent to an inference thread (${messageOf(error)}).`;
  return { type: 'done', outcome: { type: 'refused', code: 'internal', message } };
}

/** The error of a job whose thread ended. */
export function threadLost(message: string): PerennialError {
  return new PerennialError('internal', `The inference thread was lost (${message}). Send the request again.`);
}
