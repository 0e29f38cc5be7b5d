import { errorCodeOf, errorTable, type ErrorCode } from '../../contracts/errors.js';
import { removeCheckpoints } from './checkpoints.js';
import type { TrainingDependencies } from './dependencies.js';

export interface TrainingFailure {
  status: 'failed' | 'cancelled';
  error: { code: ErrorCode; message: string };
}

/** Marks a run as failed or cancelled, and removes its checkpoints, because no later attempt resumes it. */
export async function failTraining(
  deps: Pick<TrainingDependencies, 'runs' | 'objects' | 'logger'>,
  runId: string,
  { status, error }: TrainingFailure,
): Promise<void> {
  await deps.runs.fail(runId, status, error);
  try {
    await removeCheckpoints(deps, runId);
  } catch (cause) {
    if (errorTable[errorCodeOf(cause)].retryable) throw cause;
    // An object store that refuses access may be why the run failed; keep the error of the run.
    deps.logger.warn({ error: cause, run_id: runId }, 'checkpoints of a failed run could not be removed');
  }
}
