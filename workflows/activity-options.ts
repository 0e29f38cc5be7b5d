import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import { taskQueues } from '../contracts/names.js';

/**
 * Waits 0.5 s, 1 s, 2 s, … at most 10 s between attempts: a service that is away for minutes delays a run and does not
 * end it. What must not be tried again says so itself (a failure's type is a code of the error table, and those that
 * cannot pass later are marked non-retryable). `scheduleToCloseTimeout` ends the waiting; it is long, because its clock
 * also runs while the local stack is stopped.
 */
const retry = { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '10 s' } as const;

/** Rows of our record: milliseconds of work. */
export const recordOptions = {
  taskQueue: taskQueues.pipeline,
  startToCloseTimeout: '20 s',
  scheduleToCloseTimeout: '7 days',
  retry,
} satisfies ActivityOptions;

/** A row of our record and some objects: seconds of work. */
export const registrationOptions = { ...recordOptions, startToCloseTimeout: '2 min' } satisfies ActivityOptions;

/** Files moved between folders, network and object store: minutes of work that reports itself every second. */
export const storageOptions = {
  taskQueue: taskQueues.pipeline,
  startToCloseTimeout: '2 h',
  scheduleToCloseTimeout: '7 days',
  heartbeatTimeout: '15 s',
  // A step that was cancelled is over when its work has stopped, not before.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
} satisfies ActivityOptions;

/** TF.js in a child of the training worker: one at a time per worker, hours at most, alive every few seconds. */
export const trainingOptions = {
  ...storageOptions,
  taskQueue: taskQueues.training,
  startToCloseTimeout: '24 h',
  scheduleToCloseTimeout: '30 days',
  heartbeatTimeout: '10 s',
} satisfies ActivityOptions;

/** A look at replicas every second over the first minutes of a version, a day at most by its policy. */
export const guardOptions = { ...storageOptions, startToCloseTimeout: '25 h' } satisfies ActivityOptions;
