import { z } from 'zod';
import type { ErrorCode } from '../../contracts/errors.js';
import { attemptStatuses } from '../../contracts/workflows/runs.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';
import { pageOfRows, sequenceOfToken, type Page } from '../postgres/page.js';

/** An activity attempt, as reported by its worker. */
export interface AttemptEntry {
  workflowId: string;
  runId: string;
  activityId: string;
  attempt: number;
  activityType: string;
  taskQueue: string;
  worker: string;
  status: 'running' | 'completed' | 'failed' | 'cancelled';
  startedAt: string;
  endedAt: string | null;
  error: { code: ErrorCode; message: string; retryable: boolean } | null;
  /** JSON log lines. */
  log: readonly string[];
  droppedLines: number;
}

const attemptRow = z
  .object({
    sequence: integerColumn,
    workflowId: z.string(),
    runId: z.string(),
    activityId: z.string(),
    attempt: z.number(),
    activityType: z.string(),
    taskQueue: z.string(),
    worker: z.string(),
    shownStatus: z.enum(attemptStatuses),
    startedAt: timestampColumn,
    endedAt: timestampColumn.nullable(),
    errorCode: z.string().nullable(),
    errorMessage: z.string().nullable(),
    retryable: z.boolean().nullable(),
    log: z.array(z.string()),
    droppedLines: z.number(),
  })
  .transform(({ sequence, shownStatus, errorCode, errorMessage, retryable, ...attempt }) => ({
    sequence,
    item: {
      ...attempt,
      status: shownStatus,
      error:
        errorCode === null ? null : { code: errorCode, message: errorMessage ?? '', retryable: retryable ?? false },
    },
  }));
export type AttemptRecord = z.output<typeof attemptRow>['item'];

/** Activity attempts of workflows. */
export interface AttemptStore {
  /** Writes the state of attempts. An ended attempt ignores late writes. */
  write(entries: readonly AttemptEntry[]): Promise<void>;
  /**
   * Attempts of a pipeline and its children, oldest first. An attempt without a reported end is `lost` if a later attempt
   * exists or the pipeline has ended.
   */
  list(pipelineId: string, query: { limit: number; pageToken?: string | null }): Promise<Page<AttemptRecord>>;
  /** An attempt of a pipeline or its children that waits, with the reason as its error; null if none does. */
  waiting(pipelineId: string): Promise<AttemptRecord | null>;
  /** Deletes at most `limit` of the oldest attempts that began before a time; returns their number. */
  removeBefore(before: Date, limit: number): Promise<number>;
}

/** Most attempts of a pipeline among which a waiting one is looked for. */
const maxLooked = 100_000;

export function createAttemptStore(db: Database): AttemptStore {
  return {
    write: (entries) => write(db, entries),
    async list(pipelineId, { limit, pageToken }) {
      const rows = await db.rows(attemptRow, selectAttempts, [pipelineId, sequenceOfToken(pageToken), limit + 1]);
      return pageOfRows(rows, limit);
    },
    async waiting(pipelineId) {
      const [row] = await db.rows(
        attemptRow,
        `SELECT * FROM (${selectAttempts}) AS shown
         WHERE shown_status = 'running' AND error_code IS NOT NULL LIMIT 1`,
        [pipelineId, null, maxLooked],
      );
      return row?.item ?? null;
    },
    async removeBefore(before, limit) {
      const removed = await db.query(
        `DELETE FROM activity_attempts WHERE sequence IN (
           SELECT sequence FROM activity_attempts WHERE started_at < $1 ORDER BY sequence LIMIT $2) RETURNING sequence`,
        [before, limit],
      );
      return removed.length;
    },
  };
}

async function write(db: Database, entries: readonly AttemptEntry[]): Promise<void> {
  await db.query(
    `INSERT INTO activity_attempts (workflow_id, run_id, activity_id, attempt, activity_type, task_queue, worker, status,
       started_at, ended_at, error_code, error_message, retryable, log, dropped_lines)
     SELECT * FROM jsonb_to_recordset($1::jsonb) AS entry (workflow_id text, run_id text, activity_id text,
       attempt integer, activity_type text, task_queue text, worker text, status text, started_at timestamptz,
       ended_at timestamptz, error_code text, error_message text, retryable boolean, log jsonb, dropped_lines integer)
     ON CONFLICT (run_id, activity_id, attempt) DO UPDATE SET status = excluded.status, ended_at = excluded.ended_at,
       error_code = excluded.error_code, error_message = excluded.error_message, retryable = excluded.retryable,
       log = excluded.log, dropped_lines = excluded.dropped_lines
     WHERE activity_attempts.status = 'running'`,
    [JSON.stringify(entries.map(recordOf))],
  );
}

function recordOf(entry: AttemptEntry): Record<string, unknown> {
  return {
    workflow_id: entry.workflowId,
    run_id: entry.runId,
    activity_id: entry.activityId,
    attempt: entry.attempt,
    activity_type: entry.activityType,
    task_queue: entry.taskQueue,
    worker: entry.worker,
    status: entry.status,
    started_at: entry.startedAt,
    ended_at: entry.endedAt,
    error_code: entry.error?.code ?? null,
    error_message: entry.error === null ? null : storable(entry.error.message),
    retryable: entry.error?.retryable ?? null,
    log: entry.log,
    dropped_lines: entry.droppedLines,
  };
}

/** Text that Postgres accepts: no null characters, no unpaired surrogates. */
function storable(text: string): string {
  return text.replaceAll(/[\0\p{Surrogate}]/gu, '\uFFFD');
}

/**
 * Ids of children begin with those of the pipeline and a dash: in the C collation they lie between that and the same with
 * a full stop, the next character. A run that continued as new has further Temporal runs under its workflow id, which are
 * no pipelines of their own: they are the ones between its start and that of the next pipeline of that id.
 */
const selectAttempts = `
  WITH pipeline AS (
    SELECT workflow_id COLLATE "C" AS workflow_id, run_id, started_at,
      ended_at < now() - interval '10 seconds' AS has_ended,
      (workflow_id || '-' || run_id || '-') COLLATE "C" AS from_id,
      (workflow_id || '-' || run_id || '.') COLLATE "C" AS to_id,
      (SELECT min(later.started_at) FROM pipelines AS later
       WHERE later.workflow_id = pipelines.workflow_id AND later.sequence > pipelines.sequence) AS next_started_at
    FROM pipelines WHERE run_id = $1)
  SELECT made.*, CASE
      WHEN made.status = 'running' AND (pipeline.has_ended IS TRUE OR EXISTS (
        SELECT FROM activity_attempts AS later WHERE later.run_id = made.run_id
          AND later.activity_id = made.activity_id AND later.attempt > made.attempt)) THEN 'lost'
      ELSE made.status END AS shown_status
  FROM pipeline CROSS JOIN LATERAL (
    SELECT * FROM activity_attempts
    WHERE workflow_id COLLATE "C" > pipeline.from_id AND workflow_id COLLATE "C" < pipeline.to_id
    UNION ALL
    SELECT * FROM activity_attempts AS own
    WHERE own.workflow_id COLLATE "C" = pipeline.workflow_id AND (own.run_id = pipeline.run_id OR (
      own.started_at >= pipeline.started_at
      AND own.started_at < coalesce(pipeline.next_started_at, 'infinity')
      AND NOT EXISTS (SELECT FROM pipelines AS other WHERE other.run_id = own.run_id)))
  ) AS made
  WHERE $2::bigint IS NULL OR made.sequence > $2
  ORDER BY made.sequence LIMIT $3`;
