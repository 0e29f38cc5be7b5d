import { z } from 'zod';
import { PerennialError, type ErrorCode } from '../contracts/errors.js';
import { runStatuses } from '../contracts/pipelines.js';
import {
  epochMetricsSchema,
  hyperparametersSchema,
  modelMetricsSchema,
  type EpochMetrics,
  type Hyperparameters,
  type ModelMetrics,
} from '../contracts/training.js';
import { errorOf, integerColumn, jsonParameter, timestampColumn } from './columns.js';
import type { Database, Queryable } from './database.js';

const runRow = z
  .object({
    runId: z.string(),
    modelName: z.string(),
    dataset: z.string(),
    datasetVersion: z.number(),
    hyperparameters: hyperparametersSchema,
    workflowId: z.string(),
    codeRevision: z.string(),
    attempt: z.number(),
    status: z.enum(runStatuses),
    weightsSha256: z.string().nullable(),
    bestEpoch: z.number().nullable(),
    metrics: modelMetricsSchema.nullable(),
    errorCode: z.string().nullable(),
    errorMessage: z.string().nullable(),
    startedAt: timestampColumn,
    endedAt: timestampColumn.nullable(),
  })
  .transform(({ errorCode, errorMessage, ...run }) => ({ ...run, error: errorOf({ errorCode, errorMessage }) }));
export type RunRecord = z.output<typeof runRow>;

const checkpointRow = z.object({ epoch: z.number(), objectKey: z.string(), sha256: z.string() });
export type Checkpoint = z.output<typeof checkpointRow>;

const artifactRow = z.object({
  name: z.string(),
  objectKey: z.string(),
  sha256: z.string(),
  sizeBytes: integerColumn,
});
export type Artifact = z.output<typeof artifactRow>;

export interface NewRun {
  runId: string;
  modelName: string;
  dataset: string;
  datasetVersion: number;
  hyperparameters: Hyperparameters;
  workflowId: string;
  codeRevision: string;
}

/** Training runs: parameters, metrics per epoch, checkpoints and artifacts. */
export interface RunStore {
  /**
   * Takes a run over: the first call begins it with attempt 1, each later one raises the attempt and so shuts out
   * whoever holds an older one.
   */
  open(run: NewRun): Promise<{ attempt: number }>;
  /** Commits an epoch: its metrics and its checkpoint, or neither. Throws `stale_attempt`. */
  recordEpoch(
    runId: string,
    attempt: number,
    metrics: EpochMetrics,
    checkpoint: { objectKey: string; sha256: string; sizeBytes: number },
  ): Promise<void>;
  latestCheckpoint(runId: string): Promise<Checkpoint | null>;
  /** Metrics of every committed epoch, in order. */
  epochs(runId: string): Promise<EpochMetrics[]>;
  /** Ends a run well. Throws `stale_attempt`. */
  finish(
    runId: string,
    attempt: number,
    outcome: { weightsSha256: string; bestEpoch: number; metrics: ModelMetrics },
  ): Promise<void>;
  /** Ends a run that is still running. */
  fail(runId: string, status: 'failed' | 'cancelled', error: { code: ErrorCode; message: string }): Promise<void>;
  addArtifact(runId: string, artifact: Artifact): Promise<void>;
  artifacts(runId: string): Promise<Artifact[]>;
  get(runId: string): Promise<RunRecord | null>;
  /** Forgets all checkpoints but those of the last `keepLast` epochs; gives the object keys that may go. */
  takeCheckpoints(runId: string, keepLast: number): Promise<string[]>;
}

export function createRunStore(db: Database): RunStore {
  return {
    open: (run) => open(db, run),
    epochs: (runId) => readEpochs(db, runId),
    finish: (runId, attempt, { weightsSha256, bestEpoch, metrics }) =>
      db.transaction(async (tx) => {
        await holdAttempt(tx, runId, attempt);
        await tx.query(
          `UPDATE runs SET status = 'completed', weights_sha256 = $2, best_epoch = $3, metrics = $4,
             error_code = NULL, error_message = NULL, ended_at = now() WHERE run_id = $1`,
          [runId, weightsSha256, bestEpoch, jsonParameter(metrics)],
        );
      }),
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
    ...checkpointRecord(db),
  };
}

type CheckpointRecord = Pick<RunStore, 'recordEpoch' | 'latestCheckpoint' | 'takeCheckpoints'>;

function checkpointRecord(db: Database): CheckpointRecord {
  return {
    recordEpoch: (runId, attempt, metrics, checkpoint) =>
      db.transaction(async (tx) => {
        await holdAttempt(tx, runId, attempt);
        await writeMetrics(tx, runId, metrics);
        await tx.query(
          `INSERT INTO checkpoints (run_id, epoch, attempt, object_key, sha256, size_bytes)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (run_id, epoch) DO UPDATE SET attempt = excluded.attempt, object_key = excluded.object_key,
             sha256 = excluded.sha256, size_bytes = excluded.size_bytes`,
          [runId, metrics.epoch, attempt, checkpoint.objectKey, checkpoint.sha256, checkpoint.sizeBytes],
        );
      }),
    latestCheckpoint: (runId) =>
      db.row(
        checkpointRow,
        'SELECT epoch, object_key, sha256 FROM checkpoints WHERE run_id = $1 ORDER BY epoch DESC LIMIT 1',
        [runId],
      ),
    async takeCheckpoints(runId, keepLast) {
      const taken = await db.rows(
        z.object({ objectKey: z.string() }),
        `DELETE FROM checkpoints WHERE run_id = $1 AND epoch NOT IN
           (SELECT epoch FROM checkpoints WHERE run_id = $1 ORDER BY epoch DESC LIMIT $2)
         RETURNING object_key`,
        [runId, keepLast],
      );
      return taken.map(({ objectKey }) => objectKey);
    },
  };
}

async function open(db: Queryable, run: NewRun): Promise<{ attempt: number }> {
  const opened = await db.row(
    z.object({ attempt: z.number() }),
    `INSERT INTO runs (run_id, model_name, dataset, dataset_version, hyperparameters, workflow_id, code_revision)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (run_id) DO UPDATE SET attempt = runs.attempt + 1, code_revision = excluded.code_revision,
       status = CASE WHEN runs.status = 'completed' THEN runs.status ELSE 'running' END,
       ended_at = CASE WHEN runs.status = 'completed' THEN runs.ended_at END,
       error_code = NULL, error_message = NULL
     RETURNING attempt`,
    [
      run.runId,
      run.modelName,
      run.dataset,
      run.datasetVersion,
      jsonParameter(run.hyperparameters),
      run.workflowId,
      run.codeRevision,
    ],
  );
  if (!opened) throw new PerennialError('internal', `Run ${run.runId} could not be opened.`);
  return opened;
}

/** Locks the run for the rest of the transaction if `attempt` is still the newest. */
async function holdAttempt(tx: Queryable, runId: string, attempt: number): Promise<void> {
  const run = await tx.row(z.object({ attempt: z.number() }), 'SELECT attempt FROM runs WHERE run_id = $1 FOR UPDATE', [
    runId,
  ]);
  if (!run) throw new PerennialError('not_found', `There is no run ${runId}.`);
  if (run.attempt === attempt) return;
  throw new PerennialError(
    'stale_attempt',
    `Attempt ${attempt} of run ${runId} was overtaken by attempt ${run.attempt}, which goes on from the last checkpoint. Nothing needs to be done.`,
  );
}

async function writeMetrics(tx: Queryable, runId: string, { epoch, ...values }: EpochMetrics): Promise<void> {
  await tx.query(
    `INSERT INTO run_metrics (run_id, step, name, value)
     SELECT $1, $2, name, value FROM unnest($3::text[], $4::double precision[]) AS metric (name, value)
     ON CONFLICT (run_id, step, name) DO UPDATE SET value = excluded.value`,
    [runId, epoch, Object.keys(values), Object.values(values)],
  );
}

async function readEpochs(db: Queryable, runId: string): Promise<EpochMetrics[]> {
  const rows = await db.rows(
    z.object({ step: z.number(), values: z.record(z.string(), z.number()) }),
    `SELECT step, jsonb_object_agg(name, value) AS values FROM run_metrics WHERE run_id = $1 GROUP BY step ORDER BY step`,
    [runId],
  );
  return rows.map(({ step, values }) => epochMetricsSchema.parse({ epoch: step, ...values }));
}
