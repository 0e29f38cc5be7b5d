import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import { taskQueues } from '../contracts/names.js';

/**
 * Waits 0.5 s, 1 s, 2 s, … at most 10 s between attempts: a service that is unavailable for minutes delays a run and does
 * not fail it. Errors that a retry cannot fix are marked non-retryable (the type of a failure is a code of the error
 * table). `scheduleToCloseTimeout` limits the retries; it is long, because its clock also runs while the local stack is
 * stopped.
 */
const retry = { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '10 s' } as const;

/** Rows of the database: milliseconds of work. */
export const recordOptions = {
  taskQueue: taskQueues.pipeline,
  startToCloseTimeout: '20 s',
  scheduleToCloseTimeout: '7 days',
  retry,
} satisfies ActivityOptions;

/** A row of the database and some objects: seconds of work. */
export const registrationOptions = { ...recordOptions, startToCloseTimeout: '2 min' } satisfies ActivityOptions;

/** Files moved between folders, network and object store: minutes of work with a heartbeat every second. */
export const storageOptions = {
  taskQueue: taskQueues.pipeline,
  startToCloseTimeout: '2 h',
  scheduleToCloseTimeout: '7 days',
  heartbeatTimeout: '15 s',
  // A cancelled step ends only when its work has stopped.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
} satisfies ActivityOptions;

/** TF.js in a child process of the training worker: one at a time, for hours, with a heartbeat every second. */
export const trainingOptions = {
  ...storageOptions,
  taskQueue: taskQueues.training,
  startToCloseTimeout: '24 h',
  scheduleToCloseTimeout: '30 days',
  heartbeatTimeout: '10 s',
} satisfies ActivityOptions;

/** Checks the replicas every second during the first minutes of a version; the policy allows a day at most. */
export const guardOptions = { ...storageOptions, startToCloseTimeout: '25 h' } satisfies ActivityOptions;
