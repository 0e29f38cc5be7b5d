import { PerennialError, messageOf } from '../../contracts/errors.js';
import type { QueuedJob } from './job-queue.js';
import type { JobOutcome } from './messages.js';
import type { Outcome } from './thread.js';

/** Gives a job the outcome that its thread answered. */
export function settle(queuedJob: QueuedJob, outcome: JobOutcome | undefined, startedAt: number): void {
  const queueMs = startedAt - queuedJob.request.acceptedAt;
  if (outcome?.type === 'answer') queuedJob.resolve({ ...outcome, queueMs });
  else if (outcome?.type === 'refused') queuedJob.reject(new PerennialError(outcome.code, outcome.message));
  else
    queuedJob.reject(
      new PerennialError('internal', 'The inference thread gave no valid reply. Send the request again.'),
    );
}

/** Jobs that could not be posted: the fault is not the thread's. */
export function dispatchFailed(error: unknown, queuedJobs: readonly QueuedJob[]): Outcome {
  const message = `The job could not be sent to an inference thread (${messageOf(error)}).`;
  return { type: 'done', outcomes: queuedJobs.map(() => ({ type: 'refused', code: 'internal', message })) };
}

/** The error of a job whose thread ended. */
export function threadLost(message: string): PerennialError {
  return new PerennialError('internal', `The inference thread was lost (${message}). Send the request again.`);
}
