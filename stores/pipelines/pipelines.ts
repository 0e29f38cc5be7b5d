import { z } from 'zod';
import {
  runStatuses,
  stepStatuses,
  type PipelineEnd,
  type PipelineOpening,
  type RunStatus,
  type StepEntry,
} from '../../contracts/workflows/runs.js';
import { trainingChannel, workflowTypes } from '../../contracts/names.js';
import { errorOf, integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { addToOutbox } from '../notifications/outbox.js';
import { pageOfRows, sequenceOfToken, type Page } from '../postgres/page.js';
import { enterSteps } from './enter-steps.js';

const stepSchema = z.object({
  name: z.string(),
  status: z.enum(stepStatuses),
  detail: z.string().nullable(),
  startedAt: timestampColumn.nullable(),
  endedAt: timestampColumn.nullable(),
});
export type PipelineStep = z.output<typeof stepSchema>;
const stepRow = stepSchema.extend({ runId: z.string() }).transform(({ runId, ...step }) => ({ runId, step }));

const pipelineRow = z.object({
  runId: z.string(),
  sequence: integerColumn,
  workflowId: z.string(),
  workflow: z.string(),
  status: z.enum(runStatuses),
  trigger: z.string(),
  modelName: z.string().nullable(),
  dataset: z.string().nullable(),
  result: z.unknown(),
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
  startedAt: timestampColumn,
  endedAt: timestampColumn.nullable(),
});

/** A run of a workflow as stored. `id` is the Temporal run id. */
export interface PipelineRecord {
  id: string;
  workflowId: string;
  workflow: string;
  status: RunStatus;
  trigger: string;
  modelName: string | null;
  dataset: string | null;
  startedAt: string;
  endedAt: string | null;
  steps: PipelineStep[];
  result: unknown;
  error: { code: string; message: string } | null;
}

export interface PipelineQuery {
  limit: number;
  pageToken?: string | null;
  workflow?: string;
  status?: RunStatus;
  modelName?: string;
}

/** Workflow runs in the database. Every write is idempotent. */
export interface PipelineStore {
  /**
   * Adds a run. An earlier run of the same workflow without a recorded end is closed as cancelled:
   * Temporal lets only one run of an id be open. A retraining is announced to the training workers.
   */
  open(run: PipelineOpening): Promise<void>;
  /** Records states of steps, the later one of a step after the earlier. An ended step ignores late retries. */
  enterSteps(runId: string, entries: readonly StepEntry<string>[]): Promise<void>;
  /**
   * Ends a run and its running steps. Queues one `pipeline.failed` notification for a failure, and `ingestion.completed` for an ingestion
   * that a person started.
   */
  close(runId: string, end: PipelineEnd): Promise<void>;
  get(runId: string): Promise<PipelineRecord | null>;
  /** Newest first. */
  list(query: PipelineQuery): Promise<Page<PipelineRecord>>;
}

/** How a run ends that Temporal closed before it recorded an end of its own. */
export function endOfOrphan(replacement = ''): PipelineEnd {
  const message = `This run was terminated in Temporal and left no result${replacement}.`;
  return { status: 'cancelled', error: { code: 'cancelled', message } };
}

export function createPipelineStore(db: Database): PipelineStore {
  return {
    open: (run) => db.transaction((tx) => open(tx, run)),
    enterSteps: (runId, entries) => enterSteps(db, runId, entries),
    close: (runId, end) => db.transaction((tx) => close(tx, runId, end)),
    async get(runId) {
      const row = await db.row(pipelineRow, 'SELECT * FROM pipelines WHERE run_id = $1', [runId]);
      return row && ((await withSteps(db, [row]))[0]?.item ?? null);
    },
    async list({ limit, pageToken, workflow, status, modelName }) {
      const rows = await db.rows(
        pipelineRow,
        `SELECT * FROM pipelines
         WHERE ($2::bigint IS NULL OR sequence < $2) AND ($3::text IS NULL OR workflow = $3)
           AND ($4::text IS NULL OR status = $4) AND ($5::text IS NULL OR model_name = $5)
         ORDER BY sequence DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken), workflow ?? null, status ?? null, modelName ?? null],
      );
      return pageOfRows(await withSteps(db, rows), limit);
    },
  };
}

async function open(tx: Queryable, run: PipelineOpening): Promise<void> {
  const opened = await tx.query(
    `INSERT INTO pipelines (run_id, workflow_id, workflow, trigger, model_name, dataset)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (run_id) DO NOTHING RETURNING run_id`,
    [run.runId, run.workflowId, run.workflow, run.trigger, run.modelName, run.dataset],
  );
  if (opened.length === 0) return;
  await tx.query(
    `INSERT INTO pipeline_steps (run_id, name, position)
     SELECT $1, name, position FROM unnest($2::text[]) WITH ORDINALITY AS step (name, position)`,
    [run.runId, run.steps],
  );
  const orphans = await tx.rows(
    z.object({ runId: z.string() }),
    `SELECT run_id FROM pipelines WHERE workflow_id = $1 AND run_id <> $2 AND status = 'running'`,
    [run.workflowId, run.runId],
  );
  for (const orphan of orphans) await close(tx, orphan.runId, endOfOrphan('; a later run replaced it'));
  // Loading TensorFlow takes about as long as the steps before the training.
  if (run.workflow === workflowTypes.retrainingPipeline)
    await tx.query('SELECT pg_notify($1, $2)', [trainingChannel, '']);
}

async function close(tx: Queryable, runId: string, end: PipelineEnd): Promise<void> {
  const closed = await tx.query(
    `UPDATE pipelines SET status = $2, result = $3, error_code = $4, error_message = $5, ended_at = now()
     WHERE run_id = $1 AND status = 'running' RETURNING run_id`,
    [runId, end.status, jsonParameter(end.result), end.error?.code ?? null, end.error?.message ?? null],
  );
  if (closed.length === 0) return;
  if (end.status === 'failed') await tellFailure(tx, runId);
  if (end.status === 'completed') await tellIngestion(tx, runId);
  await tx.query(`UPDATE pipeline_steps SET status = $2, ended_at = now() WHERE run_id = $1 AND status = 'running'`, [
    runId,
    end.status,
  ]);
}

/** A child's parent reports what becomes of it. */
const isOnItsOwn = `NOT EXISTS (SELECT FROM pipelines AS parent
  WHERE starts_with(pipelines.workflow_id, parent.workflow_id || '-' || parent.run_id || '-'))`;

/** Queues the notification of an ingestion that a person started, with its counts. */
async function tellIngestion(tx: Queryable, runId: string): Promise<void> {
  const ingestion = await tx.row(
    z.object({ dataset: z.string().nullable(), result: z.record(z.string(), z.unknown()) }),
    // The statistics have a row for each class.
    `SELECT dataset, result - 'statistics' AS result FROM pipelines WHERE run_id = $1 AND workflow = 'ingestDataset' AND trigger = 'manual'
       AND jsonb_typeof(result) = 'object' AND ${isOnItsOwn}`,
    [runId],
  );
  if (!ingestion) return;
  const payload = { runId, ...ingestion.result, dataset: ingestion.dataset };
  await addToOutbox(tx, { key: `ingestion-completed-${runId}`, kind: 'ingestion.completed', payload });
}

const failureRow = z.object({
  workflowId: z.string(),
  workflow: z.string(),
  modelName: z.string().nullable(),
  dataset: z.string().nullable(),
  step: z.string().nullable(),
  code: z.string(),
  message: z.string(),
  productionVersion: z.number().nullable(),
});

/** Queues the notification of a failed run: step, reason, and the version that stays in Production. */
async function tellFailure(tx: Queryable, runId: string): Promise<void> {
  const failure = await tx.row(
    failureRow,
    `SELECT workflow_id, workflow, pipelines.model_name, pipelines.dataset,
       (SELECT name FROM pipeline_steps WHERE run_id = $1 AND status IN ('failed', 'running')
        ORDER BY status, position LIMIT 1) AS step,
       coalesce(error_code, 'internal') AS code, coalesce(error_message, 'No reason was recorded.') AS message,
       model_versions.version AS production_version
     FROM pipelines LEFT JOIN model_versions
       ON model_versions.model_name = pipelines.model_name AND model_versions.stage = 'Production'
     WHERE pipelines.run_id = $1 AND workflow <> 'batchPredict' AND ${isOnItsOwn}`,
    [runId],
  );
  // A batch prediction has its own notification.
  if (!failure) return;
  const { code, message, ...told } = failure;
  const payload = { runId, ...told, error: { code, message } };
  await addToOutbox(tx, { key: `pipeline-failed-${runId}`, kind: 'pipeline.failed', payload });
}

async function withSteps(
  db: Queryable,
  rows: readonly z.output<typeof pipelineRow>[],
): Promise<{ sequence: number; item: PipelineRecord }[]> {
  const steps = await db.rows(
    stepRow,
    'SELECT * FROM pipeline_steps WHERE run_id = ANY($1) ORDER BY run_id, position',
    [rows.map(({ runId }) => runId)],
  );
  return rows.map(({ runId, sequence, errorCode, errorMessage, ...row }) => ({
    sequence,
    item: {
      id: runId,
      ...row,
      steps: steps.filter((step) => step.runId === runId).map((step) => step.step),
      error: errorOf({ errorCode, errorMessage }),
    },
  }));
}
