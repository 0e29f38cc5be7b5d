import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import type { BatchList, BatchOrder, BatchStatus } from '../../contracts/batch-predictions/batch-predictions.js';
import { PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { writeAudit } from '../audit/audit.js';
import { endedStatuses, readBatches, type BatchPrediction, type ResultFile } from './batch-prediction-rows.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { addToOutbox } from '../notifications/outbox.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';

export type { BatchPrediction, ResultFile } from './batch-prediction-rows.js';

export interface BatchOpening {
  id: string;
  workflowId: string;
  /** Digest of the request, to distinguish a repetition from another request. */
  request: object;
  order: BatchOrder;
  by: Actor;
}

/** Totals of a chunk, and the object that holds its rows. */
export interface BatchChunk {
  chunk: number;
  objectKey: string;
  sha256: string;
  items: number;
  failed: number;
  predicted: Readonly<Record<string, number>>;
  images: readonly string[];
}

const partRow = z.object({
  chunk: z.number(),
  objectKey: z.string(),
  sha256: z.string(),
  items: z.number(),
  failed: z.number(),
});
export type BatchPart = z.output<typeof partRow>;

const listRow = z.object({ listPrefix: z.string(), items: z.number(), chunks: z.number() });

export interface BatchEnd {
  status: Exclude<BatchStatus, 'waiting' | 'running'>;
  error: { code: ErrorCode; message: string } | null;
}

/** Batch predictions in the database. Every write is idempotent. */
export interface BatchPredictionStore {
  /** Records a requested job, or returns the existing one. Throws as `known`. */
  open(opening: BatchOpening): Promise<BatchPrediction>;
  /** The job with this id, or null. Throws `conflict` if the id was used for another request. */
  known(id: string, request: object): Promise<BatchPrediction | null>;
  /** Records the workflow run of a started job. */
  started(id: string, runId: string): Promise<void>;
  /** Deletes a job that could not be started. */
  forget(id: string): Promise<void>;
  /** Throws `not_found`. */
  get(id: string): Promise<BatchPrediction>;
  /** Newest first. */
  list(query: {
    limit: number;
    pageToken?: string | null;
    modelName?: string | undefined;
    status?: BatchStatus | undefined;
  }): Promise<Page<BatchPrediction>>;
  /** Marks the job as running. Throws `conflict` if it was erased. */
  begin(id: string, runId: string): Promise<void>;
  /** The list of images; null until it is stored. */
  listOf(id: string): Promise<(BatchList & { listPrefix: string }) | null>;
  /** Stores the list unless one exists; returns the stored one. */
  setList(id: string, list: BatchList & { listPrefix: string }): Promise<BatchList & { listPrefix: string }>;
  /** Null while the chunk is not done. */
  chunk(id: string, chunk: number): Promise<BatchPart | null>;
  /** The erased ones among these images. */
  erasedAmong(sha256s: readonly string[]): Promise<string[]>;
  /**
   * Records a chunk as done; returns the stored part, this one or an earlier one. Throws `conflict` if the job was erased,
   * and `internal` if an image of the chunk was erased, so that the chunk is retried.
   */
  addChunk(id: string, chunk: BatchChunk): Promise<BatchPart>;
  /** Whether another unfinished job reads the files of an upload. */
  isUploadWanted(uploadId: string, besides: string): Promise<boolean>;
  /** Chunks that are done, in order. */
  parts(id: string): Promise<BatchPart[]>;
  setResults(id: string, results: readonly ResultFile[]): Promise<void>;
  /** Ends a job once, and queues its notification. */
  close(id: string, end: BatchEnd): Promise<void>;
  /** Jobs of a model that ended, or were never started, before a time. */
  expired(modelName: string, before: Date): Promise<string[]>;
  remove(id: string): Promise<void>;
}

export function createBatchPredictionStore(db: Database): BatchPredictionStore {
  return {
    open: (opening) => db.transaction((tx) => open(tx, opening)),
    known: (id, request) => known(db, id, request),
    async started(id, runId) {
      await db.query('UPDATE batch_predictions SET run_id = $2 WHERE id = $1 AND run_id IS NULL', [id, runId]);
    },
    async forget(id) {
      await db.query(`DELETE FROM batch_predictions WHERE id = $1 AND status = 'waiting'`, [id]);
    },
    get: (id) => get(db, id),
    async list({ limit, pageToken, modelName, status }) {
      const rows = await readBatches(
        db,
        `($2::bigint IS NULL OR b.sequence < $2) AND ($3::text IS NULL OR b.model_name = $3)
           AND ($4::text IS NULL OR b.status = $4) ORDER BY b.sequence DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken), modelName ?? null, status ?? null],
      );
      return pageBy(rows, limit, ({ sequence }) => sequence);
    },
    ...createWork(db),
    ...createChunks(db),
    close: (id, end) => db.transaction((tx) => close(tx, id, end)),
    async expired(modelName, before) {
      const rows = await db.rows(
        z.object({ id: z.string() }),
        `SELECT id FROM batch_predictions WHERE model_name = $1 AND coalesce(ended_at, created_at) < $2
           AND status <> 'running' ORDER BY sequence`,
        [modelName, before],
      );
      return rows.map(({ id }) => id);
    },
    async remove(id) {
      await db.query('DELETE FROM batch_predictions WHERE id = $1', [id]);
    },
  };
}

type Work = 'begin' | 'listOf' | 'setList' | 'setResults' | 'isUploadWanted';

function createWork(db: Database): Pick<BatchPredictionStore, Work> {
  const listOf = (id: string): ReturnType<BatchPredictionStore['listOf']> =>
    db.row(listRow, 'SELECT * FROM batch_predictions WHERE id = $1 AND listed_at IS NOT NULL', [id]);
  return {
    begin: (id, runId) =>
      db.transaction(async (tx) => {
        await requireThere(tx, id);
        await tx.query(
          `UPDATE batch_predictions SET status = 'running', run_id = $2, started_at = coalesce(started_at, now())
           WHERE id = $1 AND status IN ('waiting', 'running')`,
          [id, runId],
        );
      }),
    listOf,
    async isUploadWanted(uploadId, besides) {
      const others = await db.query(
        `SELECT id FROM batch_predictions WHERE status IN ('waiting', 'running') AND id <> $2
           AND job_order #>> '{source,uploadId}' = $1 LIMIT 1`,
        [uploadId, besides],
      );
      return others.length > 0;
    },
    async setList(id, list) {
      await db.query(
        `UPDATE batch_predictions SET list_prefix = $2, items = $3, chunks = $4, listed_at = now()
         WHERE id = $1 AND listed_at IS NULL`,
        [id, list.listPrefix, list.items, list.chunks],
      );
      return (await listOf(id)) ?? list;
    },
    setResults: (id, results) =>
      db.transaction(async (tx) => {
        await requireThere(tx, id);
        await tx.query('UPDATE batch_predictions SET results = $2 WHERE id = $1', [id, jsonParameter(results)]);
      }),
  };
}

type Chunks = 'chunk' | 'erasedAmong' | 'addChunk' | 'parts';

function createChunks(db: Database): Pick<BatchPredictionStore, Chunks> {
  const partOf = (tx: Queryable, id: string, chunk: number): Promise<BatchPart | null> =>
    tx.row(partRow, 'SELECT * FROM batch_prediction_chunks WHERE job_id = $1 AND chunk = $2', [id, chunk]);
  return {
    chunk: (id, chunk) => partOf(db, id, chunk),
    erasedAmong: (sha256s) => erasedAmong(db, sha256s),
    addChunk: (id, chunk) =>
      db.transaction(async (tx) => {
        await requireThere(tx, id);
        await refuseErased(tx, chunk.images);
        await tx.query(
          `INSERT INTO batch_prediction_chunks (job_id, chunk, object_key, sha256, items, failed, predicted, images)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (job_id, chunk) DO NOTHING`,
          [
            id,
            chunk.chunk,
            chunk.objectKey,
            chunk.sha256,
            chunk.items,
            chunk.failed,
            jsonParameter(chunk.predicted),
            chunk.images,
          ],
        );
        return (await partOf(tx, id, chunk.chunk)) ?? chunk;
      }),
    parts: (id) => db.rows(partRow, 'SELECT * FROM batch_prediction_chunks WHERE job_id = $1 ORDER BY chunk', [id]),
  };
}

async function erasedAmong(db: Queryable, sha256s: readonly string[]): Promise<string[]> {
  const rows = await db.rows(
    z.object({ subject: z.string() }),
    `SELECT DISTINCT subject FROM erasures WHERE kind = 'image' AND subject = ANY($1)`,
    [sha256s],
  );
  return rows.map(({ subject }) => subject);
}

async function refuseErased(tx: Queryable, sha256s: readonly string[]): Promise<void> {
  if ((await erasedAmong(tx, sha256s)).length === 0) return;
  throw new PerennialError('internal', 'An image was erased while its chunk was predicted; the chunk is done again.');
}

async function open(tx: Queryable, { id, workflowId, request, order, by }: BatchOpening): Promise<BatchPrediction> {
  const opened = await tx.query(
    `INSERT INTO batch_predictions (id, model_name, job_order, request, started_by, workflow_id)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING RETURNING id`,
    [id, order.modelName, jsonParameter(order), jsonParameter(request), by.name, workflowId],
  );
  if (opened.length > 0) {
    await writeAudit(tx, { by, action: 'batch_prediction.start', subject: `batch-predictions/${id}`, after: order });
  }
  return (await known(tx, id, request)) ?? get(tx, id);
}

async function known(db: Queryable, id: string, request: object): Promise<BatchPrediction | null> {
  const former = await db.row(
    z.object({ isSame: z.boolean() }),
    'SELECT request = $2 AS is_same FROM batch_predictions WHERE id = $1',
    [id, jsonParameter(request)],
  );
  if (!former) return null;
  if (former.isSame) return get(db, id);
  throw new PerennialError(
    'conflict',
    `This Idempotency-Key was used for another request, which is batch prediction ${id}. Use a new key.`,
  );
}

async function get(db: Queryable, id: string): Promise<BatchPrediction> {
  const [found] = await readBatches(db, 'b.id = $1', [id]);
  if (found) return found;
  throw new PerennialError(
    'not_found',
    `There is no batch prediction ${id}; GET /api/v1/batch-predictions lists the stored ones.`,
  );
}

/** Locks the row, so that an erasure runs entirely before or after this transaction. */
async function requireThere(tx: Queryable, id: string): Promise<void> {
  const found = await tx.row(
    z.object({ isErased: z.boolean() }),
    'SELECT erased_at IS NOT NULL AS is_erased FROM batch_predictions WHERE id = $1 FOR UPDATE',
    [id],
  );
  if (found?.isErased === false) return;
  throw new PerennialError(
    'conflict',
    `Batch prediction ${id} was ${found ? 'erased, because it contained erased data' : 'removed'}. Start a new one.`,
  );
}

async function close(tx: Queryable, id: string, { status, error }: BatchEnd): Promise<void> {
  const closed = await tx.query(
    `UPDATE batch_predictions SET status = $2, error_code = $3, error_message = $4, ended_at = now()
     WHERE id = $1 AND status <> ALL ($5) RETURNING id`,
    [id, status, error?.code ?? null, error?.message ?? null, endedStatuses],
  );
  if (closed.length === 0 || status === 'cancelled') return;
  const { order, items, done, failed, predicted } = await get(tx, id);
  await addToOutbox(tx, {
    key: `batch-prediction-${status}-${id}`,
    kind: `batch_prediction.${status}`,
    payload: { batchId: id, modelName: order.modelName, version: order.version, items, done, failed, predicted, error },
  });
}
