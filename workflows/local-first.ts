import { isCancellation, patched, type LocalActivityOptions } from '@temporalio/workflow';

/**
 * Whether this run began with a release that runs short activities in the workflow's worker and steps in the workflow
 * itself. Ask at the beginning of a workflow: a run that began before stays as it was.
 */
export function hasFewerTasks(): boolean {
  return patched('fewer-tasks');
}

/** One short attempt in the worker that runs the workflow, without a round trip over the server. */
export const localOptions = {
  startToCloseTimeout: '5 s',
  retry: { maximumAttempts: 1 },
} satisfies LocalActivityOptions;

/**
 * Runs a short activity in the worker of the workflow. If that fails, as when a service is unavailable, runs it as an
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
