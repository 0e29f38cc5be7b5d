import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { isErrorCode, type ErrorCode } from '../contracts/errors.js';

/** How a run failed, with a message for users. */
export interface Ending {
  status: 'failed' | 'cancelled';
  error: { code: ErrorCode; message: string };
}

/**
 * Converts a failure to an ending. A run whose cancellation was requested counts as cancelled, whatever its last activity
 * threw: after the request Temporal retries nothing, so a worker that is gone shows up as a timeout.
 */
export function endingOf(error: unknown): Ending {
  const isCancelled = CancellationScope.current().consideredCancelled || isCancellation(error);
  return isCancelled ? { status: 'cancelled', error: cancelled } : { status: 'failed', error: failureOf(error) };
}

const cancelled = { code: 'cancelled', message: 'The run was cancelled.' } as const;

/**
 * Code and message of a failure for users: those of the activity that failed, not of the wrappers that Temporal adds
 * ("Activity task failed", "Child Workflow execution failed").
 */
export function failureOf(error: unknown): Ending['error'] {
  if (isCancellation(error)) return cancelled;
  const chain = causesOf(error);
  const named = chain.findLast((cause) => 'type' in cause && isErrorCode(cause.type));
  if (named && 'type' in named && isErrorCode(named.type)) return { code: named.type, message: named.message };
  return { code: 'internal', message: chain.at(-1)?.message ?? String(error) };
}

/** The failure and its causes, innermost last. */
function causesOf(error: unknown): Error[] {
  return error instanceof Error ? [error, ...causesOf(error.cause)] : [];
}
