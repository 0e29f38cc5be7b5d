import type { ErrorCode } from '../../contracts/errors.js';
import type { TrialInput, TrialProgress } from '../../contracts/experiments/tuning.js';
import type { Database, Queryable } from '../postgres/database.js';
import { writeMetrics } from './run-epochs.js';
import { finishRun, openRun } from './runs.js';

/** Attempt numbers reserved per rung, so that a later rung outranks every attempt at an earlier one. */
const attemptsPerRung = 1_000_000;

/** Where a trial ran. `attempt` is Temporal's attempt number, if there is one. */
export interface TrialPlace {
  workflowId: string;
  codeRevision: string;
}

/** Trials, each of which is a run. Every write is idempotent. */
export interface TrialStore {
  /** Records a trial's progress to a rung. Throws `stale_attempt` after a later attempt or if the trial has ended. */
  recordRung(input: TrialInput, place: TrialPlace & { attempt: number }, progress: TrialProgress): Promise<void>;
  /** Marks a trial as failed before a rung: its attempts can no longer write. */
  recordFailure(input: TrialInput, place: TrialPlace, error: { code: ErrorCode; message: string }): Promise<void>;
  /** Ends running trials of a search: `finished` passed all rungs, `stopped` were eliminated. */
  endTrials(searchId: string, numbers: readonly number[], status: 'stopped' | 'finished'): Promise<void>;
  /** Ends abandoned trials. */
  abandonTrials(searchId: string): Promise<void>;
}

export function createTrialStore(db: Database): TrialStore {
  return {
    recordRung: (input, place, progress) =>
      db.transaction(async (tx) => {
        const { searchId, trial, rung } = input;
        await openTrial(tx, input, place);
        await writeMetrics(tx, trialRunId(searchId, trial.number), progress.trained);
        const { epochs, bestEpoch, loss, accuracy, trained, durationMs } = progress;
        await tx.query(
          `INSERT INTO trial_rungs
             (search_id, number, rung, epochs, best_epoch, loss, accuracy, trained_epochs, duration_ms)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (search_id, number, rung) DO NOTHING`,
          [searchId, trial.number, rung, epochs, bestEpoch, loss, accuracy, trained.length, durationMs],
        );
      }),
    recordFailure: (input, place, { code, message }) =>
      db.transaction(async (tx) => {
        const runId = trialRunId(input.searchId, input.trial.number);
        const ended = await tx.query(`SELECT FROM runs WHERE run_id = $1 AND status <> 'running'`, [runId]);
        if (ended.length > 0) return;
        await openTrial(tx, input, { ...place, attempt: attemptsPerRung - 1 });
        await tx.query(
          `UPDATE runs SET status = 'failed', error_code = $2, error_message = $3, ended_at = now() WHERE run_id = $1`,
          [runId, code, message],
        );
        await setStatus(tx, input.searchId, [input.trial.number], 'failed');
      }),
    endTrials: (searchId, numbers, status) =>
      db.transaction(async (tx) => {
        for (const number of numbers) await completeTrial(tx, searchId, number);
        await setStatus(tx, searchId, numbers, status);
      }),
    abandonTrials: (searchId) =>
      db.transaction(async (tx) => {
        await tx.query(
          `UPDATE runs SET status = 'cancelled', error_code = 'cancelled', ended_at = now(),
             error_message = 'The search ended before this trial did.'
           WHERE parent_run_id = $1 AND kind = 'trial' AND status = 'running'`,
          [searchId],
        );
        await tx.query(`UPDATE trials SET status = 'stopped' WHERE search_id = $1 AND status = 'running'`, [searchId]);
      }),
  };
}

/** The run id of a trial. */
function trialRunId(searchId: string, number: number): string {
  return `${searchId}-trial-${number}`;
}

async function openTrial(
  tx: Queryable,
  { searchId, modelName, dataset, datasetVersion, trial, rung }: TrialInput,
  { attempt, ...place }: TrialPlace & { attempt: number },
): Promise<void> {
  const runId = trialRunId(searchId, trial.number);
  const name = `trial-${trial.number}`;
  const run = { runId, modelName, dataset, datasetVersion, hyperparameters: trial.hyperparameters, ...place };
  await openRun(tx, { ...run, kind: 'trial', name, parentRunId: searchId }, rung * attemptsPerRung + attempt);
  await tx.query('INSERT INTO trials (search_id, number, run_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
    searchId,
    trial.number,
    runId,
  ]);
}

async function completeTrial(tx: Queryable, searchId: string, number: number): Promise<void> {
  const [row] = await tx.query(
    `SELECT best_epoch FROM trial_rungs WHERE search_id = $1 AND number = $2 ORDER BY rung DESC LIMIT 1`,
    [searchId, number],
  );
  const bestEpoch = typeof row?.['bestEpoch'] === 'number' ? row['bestEpoch'] : null;
  await finishRun(tx, trialRunId(searchId, number), { weightsSha256: null, bestEpoch, metrics: null });
}

async function setStatus(tx: Queryable, searchId: string, numbers: readonly number[], status: string): Promise<void> {
  await tx.query(
    `UPDATE trials SET status = $3 WHERE search_id = $1 AND number = ANY($2) AND status IN ('running', $3)`,
    [searchId, numbers, status],
  );
}
