import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import {
  approvalOutcomes,
  decisionSchema,
  type ApprovalOutcome,
  type Decision,
} from '../../contracts/registry/registry.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { addToOutbox } from '../notifications/outbox.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';

const approvalRow = z.object({
  id: integerColumn,
  idempotencyKey: z.string(),
  modelName: z.string(),
  version: z.number(),
  workflowId: z.string(),
  pipelineRunId: z.string(),
  requestedBy: z.string(),
  summary: z.string(),
  decision: decisionSchema.nullable(),
  outcome: z.enum(approvalOutcomes),
  onExpiry: z.enum(['reject', 'promote']),
  expiresAt: timestampColumn,
  decidedBy: z.string().nullable(),
  comment: z.string().nullable(),
  decidedAt: timestampColumn.nullable(),
  createdAt: timestampColumn,
});
export type ApprovalRecord = z.output<typeof approvalRow>;

export interface ApprovalRequest {
  /** Key of the waiting promotion. */
  idempotencyKey: string;
  modelName: string;
  version: number;
  workflowId: string;
  pipelineRunId: string;
  requestedBy: string;
  summary: string;
  decision: Decision | null;
  onExpiry: 'reject' | 'promote';
  /** Remaining time before it expires. */
  waitMs: number;
}

export interface ApprovalAnswer {
  idempotencyKey: string;
  outcome: Exclude<ApprovalOutcome, 'waiting'>;
  by: Actor;
  comment: string | null;
}

/** Approvals of promotions and their outcomes. */
export interface ApprovalStore {
  /** Requests an approval, once per key; a repetition returns the stored row. Queues the notification with the row. */
  open(request: ApprovalRequest): Promise<ApprovalRecord>;
  /** Stores the answer unless one is stored. */
  close(answer: ApprovalAnswer): Promise<void>;
  /** The pending approval of a run; null if there is none. */
  waitingIn(pipelineRunId: string): Promise<ApprovalRecord | null>;
  /** The last approval of a run; null if there was none. */
  latestIn(pipelineRunId: string): Promise<ApprovalRecord | null>;
  /** Whether a promotion of the model waits for approval. */
  isWaiting(modelName: string): Promise<boolean>;
  /** Newest first. */
  list(query: {
    limit: number;
    pageToken?: string | null;
    modelName?: string;
    outcome?: ApprovalOutcome;
  }): Promise<Page<ApprovalRecord>>;
}

export function createApprovalStore(db: Database): ApprovalStore {
  return {
    open: (request) => db.transaction((tx) => open(tx, request)),
    close: (answer) => db.transaction((tx) => close(tx, answer)),
    waitingIn: (pipelineRunId) =>
      db.row(approvalRow, `SELECT * FROM approvals WHERE pipeline_run_id = $1 AND outcome = 'waiting'`, [
        pipelineRunId,
      ]),
    latestIn: (pipelineRunId) =>
      db.row(approvalRow, 'SELECT * FROM approvals WHERE pipeline_run_id = $1 ORDER BY id DESC LIMIT 1', [
        pipelineRunId,
      ]),
    async isWaiting(modelName) {
      const waiting = await db.query(`SELECT FROM approvals WHERE model_name = $1 AND outcome = 'waiting' LIMIT 1`, [
        modelName,
      ]);
      return waiting.length > 0;
    },
    async list({ limit, pageToken, modelName, outcome }) {
      const rows = await db.rows(
        approvalRow,
        `SELECT * FROM approvals
         WHERE ($2::bigint IS NULL OR id < $2) AND ($3::text IS NULL OR model_name = $3) AND ($4::text IS NULL OR outcome = $4)
         ORDER BY id DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken), modelName ?? null, outcome ?? null],
      );
      return pageBy(rows, limit, ({ id }) => id);
    },
  };
}

async function open(tx: Queryable, request: ApprovalRequest): Promise<ApprovalRecord> {
  const opened = await tx.row(
    approvalRow,
    `INSERT INTO approvals (idempotency_key, model_name, version, workflow_id, pipeline_run_id, requested_by, summary,
       decision, on_expiry, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10 * interval '1 millisecond')
     ON CONFLICT (idempotency_key) DO NOTHING RETURNING *`,
    [
      request.idempotencyKey,
      request.modelName,
      request.version,
      request.workflowId,
      request.pipelineRunId,
      request.requestedBy,
      request.summary,
      jsonParameter(request.decision),
      request.onExpiry,
      request.waitMs,
    ],
  );
  if (!opened) return known(tx, request.idempotencyKey);
  await tell(tx, opened, 'requested', { expiresAt: opened.expiresAt, onExpiry: opened.onExpiry });
  return opened;
}

async function known(tx: Queryable, idempotencyKey: string): Promise<ApprovalRecord> {
  const row = await tx.row(approvalRow, 'SELECT * FROM approvals WHERE idempotency_key = $1', [idempotencyKey]);
  if (row) return row;
  throw new PerennialError('not_found', `There is no approval with the key ${idempotencyKey}.`);
}

async function close(tx: Queryable, { idempotencyKey, outcome, by, comment }: ApprovalAnswer): Promise<void> {
  const closed = await tx.row(
    approvalRow,
    `UPDATE approvals SET outcome = $2, decided_by = $3, comment = $4, decided_at = now()
     WHERE idempotency_key = $1 AND outcome = 'waiting' RETURNING *`,
    [idempotencyKey, outcome, by.name, comment],
  );
  if (!closed) return;
  await tell(tx, closed, outcome, { decidedBy: by.name, comment });
  await writeAudit(tx, {
    by,
    action: `approval.${outcome}`,
    subject: `models/${closed.modelName}/versions/${closed.version}`,
    before: { outcome: 'waiting' },
    after: { outcome, comment },
  });
}

/** Queues the notification of a change of an approval. */
function tell(tx: Queryable, approval: ApprovalRecord, event: string, more: object): Promise<void> {
  const { idempotencyKey, modelName, version, pipelineRunId, requestedBy, summary } = approval;
  return addToOutbox(tx, {
    key: `approval-${event}-${idempotencyKey}`,
    kind: `approval.${event}`,
    payload: { modelName, version, pipelineRunId, requestedBy, summary, ...more },
  });
}
