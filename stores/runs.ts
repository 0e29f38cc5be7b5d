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

/** What a run that went well leaves. */
export interface RunOutcome {
  weightsSha256: string;
  bestEpoch: number;
  metrics: ModelMetrics;
}

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
   * Begins a run, or takes it over from earlier attempts, which from then on cannot commit. `attempt` is Temporal's
   * number of the attempt that fits the model: it comes from outside, so that an old attempt that wakes up late
   * stays older. Throws `stale_attempt` when a later attempt was here or the run has ended.
   */
  open(run: NewRun, attempt: number): Promise<void>;
  /** Commits an epoch: its metrics and its checkpoint, or neither. Throws `stale_attempt` as `open` does. */
  recordEpoch(
    runId: string,
    attempt: number,
    metrics: EpochMetrics,
    checkpoint: { objectKey: string; sha256: string; sizeBytes: number },
  ): Promise<void>;
  latestCheckpoint(runId: string): Promise<Checkpoint | null>;
  /** Metrics of every committed epoch, in order. */
  epochs(runId: string): Promise<EpochMetrics[]>;
  /** Ends a run that is still running; one that ends well does so as it is registered. */
  fail(runId: string, status: 'failed' | 'cancelled', error: { code: ErrorCode; message: string }): Promise<void>;
  addArtifact(runId: string, artifact: Artifact): Promise<void>;
  artifacts(runId: string): Promise<Artifact[]>;
  get(runId: string): Promise<RunRecord | null>;
  /** Object keys of all checkpoints but those of the last `keepLast` epochs. */
  olderCheckpoints(runId: string, keepLast: number): Promise<string[]>;
  /** Forgets checkpoints whose objects are gone. */
  forgetCheckpoints(runId: string, objectKeys: readonly string[]): Promise<void>;
}

export function createRunStore(db: Database): RunStore {
  return {
    open: (run, attempt) => open(db, run, attempt),
    epochs: (runId) => readEpochs(db, runId),
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

type CheckpointRecord = Pick<RunStore, 'recordEpoch' | 'latestCheckpoint' | 'olderCheckpoints' | 'forgetCheckpoints'>;

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
    async olderCheckpoints(runId, keepLast) {
      const older = await db.rows(
        z.object({ objectKey: z.string() }),
        'SELECT object_key FROM checkpoints WHERE run_id = $1 ORDER BY epoch DESC OFFSET $2',
        [runId, keepLast],
      );
      return older.map(({ objectKey }) => objectKey);
    },
    async forgetCheckpoints(runId, objectKeys) {
      await db.query('DELETE FROM checkpoints WHERE run_id = $1 AND object_key = ANY($2)', [runId, objectKeys]);
    },
  };
}

/** Ends a run well within the transaction that registers its model. Throws `conflict` when it ended otherwise. */
export async function finishRun(tx: Queryable, runId: string, outcome: RunOutcome): Promise<void> {
  const { status } = await lockRun(tx, runId);
  if (status === 'completed') return;
  if (status !== 'running') {
    throw new PerennialError('conflict', `Run ${runId} has ${status}, so its model is not registered. Train again.`);
  }
  await tx.query(
    `UPDATE runs SET status = 'completed', weights_sha256 = $2, best_epoch = $3, metrics = $4, ended_at = now()
     WHERE run_id = $1`,
    [runId, outcome.weightsSha256, outcome.bestEpoch, jsonParameter(outcome.metrics)],
  );
}

async function open(db: Queryable, run: NewRun, attempt: number): Promise<void> {
  const opened = await db.query(
    `INSERT INTO runs (run_id, model_name, dataset, dataset_version, hyperparameters, workflow_id, code_revision, attempt)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
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
    ],
  );
  if (opened.length === 0) throw staleAttempt(run.runId, attempt);
}

/** Locks the run for the rest of the transaction if it is running and `attempt` is the newest. */
async function holdAttempt(tx: Queryable, runId: string, attempt: number): Promise<void> {
  const run = await lockRun(tx, runId);
  if (run.status !== 'running' || run.attempt !== attempt) throw staleAttempt(runId, attempt);
}

async function lockRun(tx: Queryable, runId: string): Promise<Pick<RunRecord, 'attempt' | 'status'>> {
  const run = await tx.row(
    z.object({ attempt: z.number(), status: z.enum(runStatuses) }),
    'SELECT attempt, status FROM runs WHERE run_id = $1 FOR UPDATE',
    [runId],
  );
  if (run) return run;
  throw new PerennialError('not_found', `There is no run ${runId}.`);
}

function staleAttempt(runId: string, attempt: number): PerennialError {
  return new PerennialError(
    'stale_attempt',
    `Attempt ${attempt} may no longer write to run ${runId}: a later attempt goes on from the last checkpoint, or the run has ended. Nothing needs to be done.`,
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
