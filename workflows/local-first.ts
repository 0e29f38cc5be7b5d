import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  type ActivityOptions,
  type LocalActivityOptions,
} from '@temporalio/workflow';
import type { PromotionActivities } from '../activities/promotion/activities.js';
import type { RetrainingActivities } from '../activities/retraining/activities.js';
import type { RecordActivities } from '../activities/runtime/records.js';
import type { RegistrationActivities } from '../activities/training/activities.js';
import type { StepName } from '../contracts/names.js';
import { recordOptions } from './activity-options.js';
import { shapeOfRun } from './run-shape.js';

/** Activities of the pipeline's queue that take milliseconds, and that a repetition does no harm. */
type ShortActivities = RecordActivities &
  RetrainingActivities &
  Pick<RegistrationActivities, 'registerModel'> &
  Pick<PromotionActivities, 'moveProduction'>;

type Call<T> = (activities: ShortActivities) => Promise<T>;

/** One short attempt in the worker that runs the workflow, without a round trip over the server. */
const localOptions = {
  startToCloseTimeout: '5 s',
  retry: { maximumAttempts: 1 },
} satisfies LocalActivityOptions;

/**
 * Calls a short activity in the worker of the workflow. If that fails, as when the database is away, calls it as an
 * ordinary activity: that one may be retried for days without adding to the history. `step` is its name in the Temporal
 * Web UI.
 */
export async function localFirst<T>(
  step: StepName | undefined,
  call: Call<T>,
  options: ActivityOptions = recordOptions,
): Promise<T> {
  const named = step ? { summary: step } : {};
  try {
    return await call(proxyLocalActivities<ShortActivities>({ ...localOptions, ...named }));
  } catch (error) {
    if (isCancellation(error) || (shapeOfRun().isLocal && isFinal(error))) throw error;
    return call(proxyActivities<ShortActivities>({ ...options, ...named }));
  }
}

/** Calls a short activity of a step: locally, unless the run began with a release that did not. */
export function callShort<T>(
  step: StepName | undefined,
  call: Call<T>,
  options: ActivityOptions = recordOptions,
): Promise<T> {
  if (shapeOfRun().isLocal) return localFirst(step, call, options);
  return call(proxyActivities<ShortActivities>({ ...options, ...(step && { summary: step }) }));
}

/** Whether a retry cannot mend the failure. Unlike that of an ordinary activity, it may have no wrapper. */
function isFinal(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && cause.nonRetryable === true;
}
