import { isCancellation, type LocalActivityOptions } from '@temporalio/workflow';

/** One short attempt in the worker that runs the workflow, without a round trip over the server. */
export const localOptions = {
  startToCloseTimeout: '5 s',
  retry: { maximumAttempts: 1 },
} satisfies LocalActivityOptions;

/**
 * Calls a short activity in the worker of the workflow. If that fails, as when the database is away, calls it as an
 * ordinary activity: that one may be retried for days without adding to the history.
 */
export async function localFirst<T>(local: () => Promise<T>, ordinary: () => Promise<T>): Promise<T> {
  try {
    return await local();
  } catch (error) {
    if (isCancellation(error)) throw error;
    return ordinary();
  }
}
