import { isCancellation } from '@temporalio/workflow';
import { isErrorCode, type ErrorCode } from '../contracts/errors.js';

/**
 * The code and sentence of a failure as a user should read them: those of the activity that failed, not of the
 * wrappings ("Activity task failed", "Child Workflow execution failed") that Temporal puts around it.
 */
export function failureOf(error: unknown): { code: ErrorCode; message: string } {
  if (isCancellation(error)) return { code: 'cancelled', message: 'The run was cancelled.' };
  const innermost = innermostNamed(error);
  return innermost ?? { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

function innermostNamed(error: unknown): { code: ErrorCode; message: string } | null {
  if (!(error instanceof Error)) return null;
  const deeper = innermostNamed(error.cause);
  if (deeper) return deeper;
  return 'type' in error && isErrorCode(error.type) ? { code: error.type, message: error.message } : null;
}
