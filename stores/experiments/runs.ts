import { z } from 'zod';
import { PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { runKinds, type RunKind } from '../../contracts/experiments/experiments.js';
import { runStatuses } from '../../contracts/workflows/runs.js';
import {
  hyperparametersSchema,
  modelMetricsSchema,
  type Evaluation,
  type Hyperparameters,
  type ModelMetrics,
} from '../../contracts/training/training.js';
import { errorOf, integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { createEpochRecord, measuresOf, type EpochRecord } from './run-epochs.js';
import { lockRun, staleAttempt } from './run-lock.js';

/** Columns of a run, before `errorOf` joins its error columns. */
export const runColumns = z.object({
  runId: z.string(),
  name: z.string(),
  kind: z.enum(runKinds),
  parentRunId: z.string().nullable(),
  tags: z.record(z.string(), z.string()),
  modelName: z.string(),
  dataset: z.string(),
  datasetVersion: z.number(),
  hyperparameters: hyperparametersSchema.nullable(),
  workflowId: z.string(),
  codeRevision: z.string(),
  attempt: z.number(),
  status: z.enum(runStatuses),
  weightsSha256: z.string().nullable(),
  bestEpoch: z.number().nullable(),
  metrics: modelMetricsSchema.nullable(),
  /** By public names: the last value of each metric per step, and the test metrics. */
  finalMetrics: z.record(z.string(), z.number()),
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
  startedAt: timestampColumn,
  endedAt: timestampColumn.nullable(),
});
const runRow = runColumns.transform(({ errorCode, errorMessage, ...run }) => ({
  ...run,
  error: errorOf({ errorCode, errorMessage }),
}));
export type RunRecord = z.output<typeof runRow>;

const artifactRow = z.object({
  name: z.string(),
  objectKey: z.string(),
  sha256: z.string(),
  sizeBytes: integerColumn,
});
export type Artifact = z.output<typeof artifactRow>;

/** Result of a completed run. */
export interface RunOutcome {
  weightsSha256: string | null;
  bestEpoch: number | null;
  /** Null for runs that package no bundle here: trials, imports. */
  metrics: ModelMetrics | null;
  /** Test evaluation, if it is not in `metrics`. */
  test?: Evaluation;
}

export interface NewRun {
  runId: string;
  modelName: string;
  dataset: string;
  datasetVersion: number;
  /** Null for an import only. */
  hyperparameters: Hyperparameters | null;
  workflowId: string;
  /** Temporal's id of the run of that workflow; omitted where the workflow id is that of one run only. */
  workflowRunId?: string;
  codeRevision: string;
  /** Default `training`. */
  kind?: RunKind;
  /** Name of the experiment, created with its first run; default: the model's name. */
  experiment?: string;
  name?: string;
  tags?: Readonly<Record<string, string>>;
  /** The search that this run is a trial of. */
  parentRunId?: string;
}

/** Training runs: parameters, metrics per epoch, checkpoints and artefacts. */
export interface RunStore extends EpochRecord {
  /**
   * Begins a run, or takes it over from earlier attempts, which cannot commit afterwards. `attempt` is Temporal's attempt
   * number and serves as fencing token: an old attempt that resumes late stays older. Throws `stale_attempt` after a
   * later attempt or if the run has ended.
   */
  open(run: NewRun, attempt: number): Promise<void>;
  /** Completes a run that is not registered, such as a trial. Throws `conflict` if it ended otherwise. */
  complete(runId: string, outcome: RunOutcome): Promise<void>;
  /** Fails or cancels a running run; a successful one completes when it is registered, or by `complete`. */
  fail(runId: string, status: 'failed' | 'cancelled', error: { code: ErrorCode; message: string }): Promise<void>;
  addArtifact(runId: string, artifact: Artifact): Promise<void>;
  artifacts(runId: string): Promise<Artifact[]>;
  get(runId: string): Promise<RunRecord | null>;
}

export function createRunStore(db: Database): RunStore {
  return {
    open: (run, attempt) => openRun(db, run, attempt),
    complete: (runId, outcome) => db.transaction((tx) => finishRun(tx, runId, outcome)),
    async fail(runId, status, error) {
      await db.query(
        `UPDATE runs SET status = $2, error_code = $3, error_message = $4, ended_at = now()
         WHERE run_id = $1 AND status = 'running'`,
        [runId, status, error.code, error.message],
      );
    },
    async addArtifact(runId, { name, objectKey, sha256, sizeBytes }) {
      await db.query(
        `INSERT INTO artifacts (run_id, name, object_key, sha256, size_bytes) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (run_id, name) DO UPDATE SET object_key = excluded.object_key, sha256 = excluded.sha256,
           size_bytes = excluded.size_bytes`,
        [runId, name, objectKey, sha256, sizeBytes],
      );
    },
    artifacts: (runId) => db.rows(artifactRow, 'SELECT * FROM artifacts WHERE run_id = $1 ORDER BY name', [runId]),
    get: (runId) => db.row(runRow, 'SELECT * FROM runs WHERE run_id = $1', [runId]),
    ...createEpochRecord(db),
  };
}

/** Completes a run in the transaction that registers its model. Throws `conflict` if it ended otherwise. */
export async function finishRun(tx: Queryable, runId: string, outcome: RunOutcome): Promise<void> {
  const { status } = await lockRun(tx, runId);
  if (status === 'completed') return;
  if (status !== 'running') {
    throw new PerennialError('conflict', `Run ${runId} has ${status}, so its model is not registered. Train again.`);
  }
  const test = outcome.metrics?.test ?? outcome.test;
  await tx.query(
    `UPDATE runs SET status = 'completed', weights_sha256 = $2, best_epoch = $3, metrics = $4,
       final_metrics = final_metrics || $5, ended_at = now()
     WHERE run_id = $1`,
    [
      runId,
      outcome.weightsSha256,
      outcome.bestEpoch,
      jsonParameter(outcome.metrics),
      jsonParameter(test ? measuresOf(test) : {}),
    ],
  );
}

/** `RunStore.open` within a transaction. */
export async function openRun(db: Queryable, run: NewRun, attempt: number): Promise<void> {
  const kind = run.kind ?? 'training';
  const opened = await db.query(
    `WITH experiment AS (
       INSERT INTO experiments (name) VALUES ($9) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id)
     INSERT INTO runs (run_id, model_name, dataset, dataset_version, hyperparameters, workflow_id, code_revision, attempt,
       experiment_id, kind, name, tags, parent_run_id, workflow_run_id)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, experiment.id, $10, $11, $12, $13, $14 FROM experiment
     ON CONFLICT (run_id) DO UPDATE SET attempt = excluded.attempt, code_revision = excluded.code_revision
       WHERE runs.attempt <= excluded.attempt AND runs.status = 'running'
     RETURNING run_id`,
    [
      run.runId,
      run.modelName,
      run.dataset,
      run.datasetVersion,
      jsonParameter(run.hyperparameters),
      run.workflowId,
      run.codeRevision,
      attempt,
      run.experiment ?? run.modelName,
      kind,
      run.name ?? `${run.hyperparameters?.architecture ?? kind}-${run.runId.slice(0, 8)}`,
      jsonParameter(run.tags ?? {}),
      run.parentRunId ?? null,
      run.workflowRunId ?? null,
    ],
  );
  if (opened.length === 0) throw staleAttempt(run.runId, attempt);
}
