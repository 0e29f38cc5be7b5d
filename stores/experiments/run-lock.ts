import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { runStatuses, type RunStatus } from '../../contracts/workflows/runs.js';
import type { Queryable } from '../postgres/database.js';

/** Locks a run for the rest of the transaction; returns its attempt and status. Throws `not_found`. */
export async function lockRun(tx: Queryable, runId: string): Promise<{ attempt: number; status: RunStatus }> {
  const run = await tx.row(
    z.object({ attempt: z.number(), status: z.enum(runStatuses) }),
    'SELECT attempt, status FROM runs WHERE run_id = $1 FOR UPDATE',
    [runId],
  );
  if (run) return run;
  throw new PerennialError('not_found', `There is no run ${runId}.`);
}

/** Locks the run for the rest of the transaction if it is running and `attempt` is the newest. */
export async function holdAttempt(tx: Queryable, runId: string, attempt: number): Promise<void> {
  const run = await lockRun(tx, runId);
  if (run.status !== 'running' || run.attempt !== attempt) throw staleAttempt(runId, attempt);
}

export function staleAttempt(runId: string, attempt: number): PerennialError {
  return new PerennialError(
    'stale_attempt',
    `Attempt ${attempt} was superseded: a later attempt continues run ${runId} from the last checkpoint, or the run has ended. Nothing needs to be done.`,
  );
}
