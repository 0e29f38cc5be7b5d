import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import { taskQueues } from '../contracts/names.js';

/**
 * Waits 0.5 s, 1 s, 2 s, … at most 10 s between attempts, without a limit to their number: a service that is away
 * for minutes delays a run and does not end it. What must not be tried again says so itself (a failure's type is a
 * code of the error table, and those that cannot pass later are marked non-retryable). `scheduleToCloseTimeout`
 * ends the waiting.
 */
const retry = { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '10 s' } as const;

/** Rows of our record: milliseconds of work; waits up to 30 minutes for Postgres to come back. */
export const recordOptions = {
  taskQueue: taskQueues.pipeline,
  startToCloseTimeout: '20 s',
  scheduleToCloseTimeout: '30 min',
  retry,
} satisfies ActivityOptions;

/** Files moved between folders, network and object store: minutes of work that reports itself every second. */
export const storageOptions = {
  taskQueue: taskQueues.pipeline,
  startToCloseTimeout: '2 h',
  heartbeatTimeout: '15 s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
} satisfies ActivityOptions;

/** TF.js in a child of the training worker: one at a time per worker, hours at most, alive every few seconds. */
export const trainingOptions = {
  taskQueue: taskQueues.training,
  startToCloseTimeout: '24 h',
  heartbeatTimeout: '10 s',
  // A step that was cancelled is over when its child process is gone, not before.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
} satisfies ActivityOptions;
