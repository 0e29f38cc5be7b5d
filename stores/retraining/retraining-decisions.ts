import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { retrainingWorkflowId, workflowTypes } from '../../contracts/names.js';
import { runStatuses, triggerSchema } from '../../contracts/workflows/runs.js';
import {
  performanceChecks,
  retrainingKinds,
  retrainingMetricsSchema,
  retrainingReasonSchema,
  skipReasons,
  type DecisionRequest,
  type RetrainingState,
  type RetrainingVerdict,
} from '../../contracts/retraining/retraining.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { addToOutbox } from '../notifications/outbox.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';
import { retirementOf } from '../promotion/production.js';

const decisionRow = z.object({
  id: integerColumn,
  requestId: z.string(),
  modelName: z.string(),
  dataset: z.string(),
  kind: z.enum(retrainingKinds),
  trigger: triggerSchema,
  requestedBy: z.string(),
  decision: z.enum(['retrain', 'skip']),
  skippedBecause: z.enum(skipReasons).nullable(),
  reason: z.string(),
  reasons: z.array(retrainingReasonSchema),
  metrics: retrainingMetricsSchema,
  runId: z.string().nullable(),
  joined: z.boolean(),
  startError: z.string().nullable(),
  scheduledFor: timestampColumn.nullable(),
  createdAt: timestampColumn,
});
export type RetrainingDecision = z.output<typeof decisionRow>;

const listedRow = decisionRow.extend({
  status: z.enum(runStatuses).nullable(),
  outcome: z.string().nullable(),
  summary: z.string().nullable(),
  errorMessage: z.string().nullable(),
  endedAt: timestampColumn.nullable(),
});
/** A decision with the outcome of its run. */
export type ListedDecision = z.output<typeof listedRow>;

const countRow = z.object({ name: z.string(), total: integerColumn });
/** Counts by outcome and reason. */
export type Counts = Record<string, number>;

/** Retraining requests and their decisions. */
export interface RetrainingDecisions {
  /**
   * Decides on a request, serialised per model: `judge` sees the current state, which cannot change until its verdict is
   * stored. A repeated request gets its stored decision. The first decision that finds a version's production accuracy too
   * low queues a notification.
   */
  decide(request: DecisionRequest, judge: (state: RetrainingState) => RetrainingVerdict): Promise<RetrainingDecision>;
  /** The current state of a model, for checks without a request. */
  state(modelName: string): Promise<RetrainingState>;
  /** Records the run of a decision. */
  started(requestId: string, run: { runId: string; joined: boolean }): Promise<void>;
  /** Records that no run could be started. */
  notStarted(requestId: string, message: string): Promise<void>;
  /** Newest first. */
  list(query: { limit: number; pageToken?: string | null; modelName?: string }): Promise<Page<ListedDecision>>;
  /** The existing decisions on these requests. */
  ofRequests(requestIds: readonly string[]): Promise<ListedDecision[]>;
  /** Ended retrainings by outcome and skipped requests by reason, over all models and times. */
  counts(): Promise<{ runs: Counts; skipped: Counts }>;
}

const listed = `SELECT d.*, p.status, p.result ->> 'outcome' AS outcome, p.result ->> 'summary' AS summary,
    p.error_message, p.ended_at
  FROM retraining_decisions d LEFT JOIN pipelines p ON p.run_id = d.run_id`;

export function createRetrainingDecisions(db: Database): RetrainingDecisions {
  return {
    decide: (request, judge) =>
      db.transaction(async (tx) => {
        await tx.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`retraining ${request.modelName}`]);
        const known = await tx.row(decisionRow, 'SELECT * FROM retraining_decisions WHERE request_id = $1', [
          request.requestId,
        ]);
        return known ?? (await insert(tx, request, judge(await readState(tx, request.modelName))));
      }),
    state: (modelName) => readState(db, modelName),
    async started(requestId, { runId, joined }) {
      await db.query(
        'UPDATE retraining_decisions SET run_id = $2, joined = $3, start_error = NULL WHERE request_id = $1',
        [requestId, runId, joined],
      );
    },
    notStarted: (requestId, message) => db.transaction((tx) => noteUnstarted(tx, requestId, message)),
    async list({ limit, pageToken, modelName }) {
      const rows = await db.rows(
        listedRow,
        `${listed} WHERE ($2::bigint IS NULL OR d.id < $2) AND ($3::text IS NULL OR d.model_name = $3)
         ORDER BY d.id DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken), modelName ?? null],
      );
      return pageBy(rows, limit, ({ id }) => id);
    },
    ofRequests: (requestIds) => db.rows(listedRow, `${listed} WHERE d.request_id = ANY($1)`, [requestIds]),
    counts: () => readCounts(db),
  };
}

async function insert(
  tx: Queryable,
  request: DecisionRequest,
  verdict: RetrainingVerdict,
): Promise<RetrainingDecision> {
  const [decision] = await tx.rows(
    decisionRow,
    `INSERT INTO retraining_decisions (request_id, model_name, dataset, kind, trigger, requested_by, decision,
       skipped_because, reason, reasons, metrics, scheduled_for)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *`,
    [
      request.requestId,
      request.modelName,
      request.dataset,
      request.kind,
      verdict.trigger,
      request.by.name,
      verdict.decision,
      verdict.skippedBecause,
      verdict.reason,
      jsonParameter(verdict.reasons),
      jsonParameter(request.metrics),
      request.scheduledFor,
    ],
  );
  if (!decision) throw new PerennialError('internal', 'The retraining decision could not be stored.');
  await alertOnce(tx, request, verdict);
  if (verdict.decision === 'retrain') {
    await writeAudit(tx, {
      by: request.by,
      action: 'retraining.trigger',
      subject: `models/${request.modelName}/retraining`,
      after: { decision: decision.id, kind: request.kind, reason: verdict.reason },
    });
  }
  return decision;
}

/** A version with low accuracy is reported once, however often it is found. */
async function alertOnce(
  tx: Queryable,
  { modelName, metrics }: DecisionRequest,
  { decision, reason, reasons }: RetrainingVerdict,
): Promise<void> {
  const version = metrics.productionVersion;
  const found = reasons.find(({ check, fired }) => fired && performanceChecks.includes(check));
  if (version === null || found === undefined) return;
  const { figure, threshold, detail } = found;
  await addToOutbox(tx, {
    key: `model-degraded-${modelName}-${version}`,
    kind: 'model.degraded',
    payload: { modelName, version, figure, threshold, detail, labelled: metrics.labelled, decision, reason },
  });
}

/** Notifies that a retraining could not be started. */
async function noteUnstarted(tx: Queryable, requestId: string, message: string): Promise<void> {
  const noted = await tx.row(
    z.object({ modelName: z.string() }),
    `UPDATE retraining_decisions SET start_error = $2 WHERE request_id = $1 AND run_id IS NULL AND start_error IS NULL
     RETURNING model_name`,
    [requestId, message],
  );
  if (!noted) return;
  await addToOutbox(tx, {
    key: `retraining-unstarted-${requestId}`,
    kind: 'retraining.unstarted',
    payload: { modelName: noted.modelName, reason: message },
  });
}

/** A decision to retrain counts as a running run until its run is recorded, or for ten minutes. */
const runningRun = `
  SELECT run_id FROM pipelines WHERE workflow_id = $2 AND status = 'running'
  UNION ALL
  SELECT d.run_id FROM retraining_decisions d
  WHERE d.model_name = $1 AND d.decision = 'retrain' AND d.start_error IS NULL
    AND d.created_at > now() - interval '10 minutes'
    AND NOT EXISTS (SELECT FROM pipelines p WHERE p.run_id = d.run_id)
  LIMIT 1`;

/** The last automatic retraining. If Production is older than the version it promoted, that was rolled back. */
const lastAutomatic = `
  SELECT extract(epoch FROM now() - d.created_at)::double precision / 60 AS minutes_ago,
    coalesce(
      CASE WHEN EXISTS (
        SELECT FROM model_versions v WHERE v.model_name = d.model_name AND v.stage = 'Production'
          AND v.version < (p.result ->> 'version')::integer AND p.result ->> 'outcome' = 'promoted'
      ) THEN 'rolled_back' END,
      p.result ->> 'outcome', p.status) AS outcome,
    d.dataset, (p.result ->> 'datasetVersion')::integer AS dataset_version
  FROM retraining_decisions d LEFT JOIN pipelines p ON p.run_id = d.run_id
  WHERE d.model_name = $1 AND d.decision = 'retrain' AND d.kind <> 'manual' AND d.start_error IS NULL
  ORDER BY d.id DESC LIMIT 1`;

async function readState(db: Queryable, modelName: string): Promise<RetrainingState> {
  const running = await db.row(z.object({ runId: z.string().nullable() }), runningRun, [
    modelName,
    retrainingWorkflowId(modelName),
  ]);
  const waiting = await db.query(`SELECT FROM approvals WHERE model_name = $1 AND outcome = 'waiting' LIMIT 1`, [
    modelName,
  ]);
  const last = z.object({
    minutesAgo: z.number(),
    outcome: z.string().nullable(),
    dataset: z.string(),
    datasetVersion: z.number().nullable(),
  });
  return {
    running,
    awaitingApproval: waiting.length > 0,
    retired: (await retirementOf(db, modelName)) !== null,
    lastAutomatic: await db.row(last, lastAutomatic, [modelName]),
  };
}

async function readCounts(db: Queryable): Promise<{ runs: Counts; skipped: Counts }> {
  const runs = await db.rows(
    countRow,
    `SELECT coalesce(result ->> 'outcome', status) AS name, count(*) AS total FROM pipelines
     WHERE workflow = $1 AND status <> 'running' GROUP BY 1`,
    [workflowTypes.retrainingPipeline],
  );
  const skipped = await db.rows(
    countRow,
    `SELECT skipped_because AS name, count(*) AS total FROM retraining_decisions
     WHERE decision = 'skip' GROUP BY 1`,
  );
  return { runs: countsOf(runs), skipped: countsOf(skipped) };
}

function countsOf(rows: readonly z.output<typeof countRow>[]): Counts {
  return Object.fromEntries(rows.map(({ name, total }) => [name, total]));
}
