import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { isErrorCode, type ErrorCode } from '../contracts/errors.js';

/** How a run that failed ended, in the words a user should read. */
export interface Ending {
  status: 'failed' | 'cancelled';
  error: { code: ErrorCode; message: string };
}

/**
 * The ending that a failure means. A run that was asked to stop is cancelled, whatever its last activity met on the way:
 * after that request Temporal tries nothing again, so a worker that is gone shows as a time-out.
 */
export function endingOf(error: unknown): Ending {
  const asked = CancellationScope.current().consideredCancelled || isCancellation(error);
  return asked ? { status: 'cancelled', error: cancelled } : { status: 'failed', error: failureOf(error) };
}

const cancelled = { code: 'cancelled', message: 'The run was cancelled.' } as const;

/**
 * The code and sentence of a failure as a user should read them: those of the activity that failed, not of the
 * wrappings ("Activity task failed", "Child Workflow execution failed") that Temporal puts around it.
 */
export function failureOf(error: unknown): Ending['error'] {
  if (isCancellation(error)) return cancelled;
  const chain = causesOf(error);
  const named = chain.findLast((cause) => 'type' in cause && isErrorCode(cause.type));
  if (named && 'type' in named && isErrorCode(named.type)) return { code: named.type, message: named.message };
  return { code: 'internal', message: chain.at(-1)?.message ?? String(error) };
}

/** The failure and what caused it, innermost last. */
function causesOf(error: unknown): Error[] {
  return error instanceof Error ? [error, ...causesOf(error.cause)] : [];
}
