import { z } from 'zod';
import { labelCounts } from '../../contracts/datasets/by-label.js';
import {
  batchFormatSchema,
  batchOrderSchema,
  batchStatuses,
  type BatchStatus,
} from '../../contracts/batch-predictions/batch-predictions.js';
import { errorOf, integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';

export const resultFileSchema = z.object({
  format: batchFormatSchema,
  objectKey: z.string(),
  sha256: z.string(),
  sizeBytes: z.number(),
});
/** A file of results in the object store. */
export type ResultFile = z.output<typeof resultFileSchema>;

const countsSchema = labelCounts();

export const batchRow = z
  .object({
    id: z.string(),
    sequence: integerColumn,
    jobOrder: batchOrderSchema,
    startedBy: z.string(),
    status: z.enum(batchStatuses),
    workflowId: z.string(),
    runId: z.string().nullable(),
    items: z.number().nullable(),
    chunks: z.number().nullable(),
    done: integerColumn,
    failed: integerColumn,
    predicted: countsSchema,
    results: z.array(resultFileSchema),
    errorCode: z.string().nullable(),
    errorMessage: z.string().nullable(),
    createdAt: timestampColumn,
    startedAt: timestampColumn.nullable(),
    listedAt: timestampColumn.nullable(),
    lastChunkAt: timestampColumn.nullable(),
    endedAt: timestampColumn.nullable(),
    erasedAt: timestampColumn.nullable(),
  })
  .transform(({ jobOrder, errorCode, errorMessage, ...row }) => ({
    ...row,
    order: jobOrder,
    error: errorOf({ errorCode, errorMessage }),
  }));
/** A batch prediction as stored. */
export type BatchPrediction = z.output<typeof batchRow>;

/** Batch predictions with the totals of their chunks; `where` refers to the table as `b`. */
export function readBatches(db: Queryable, where: string, parameters: readonly unknown[]): Promise<BatchPrediction[]> {
  return db.rows(
    batchRow,
    `SELECT b.*, coalesce(c.done, 0) AS done, coalesce(c.failed, 0) AS failed, c.last_chunk_at,
       coalesce((SELECT jsonb_object_agg(label, total) FROM (
         SELECT label, sum(number::integer) AS total
         FROM batch_prediction_chunks p, jsonb_each_text(p.predicted) AS counted (label, number)
         WHERE p.job_id = b.id GROUP BY label) AS totals), '{}') AS predicted
     FROM batch_predictions b LEFT JOIN LATERAL (
       SELECT sum(items) AS done, sum(failed) AS failed, max(ended_at) AS last_chunk_at
       FROM batch_prediction_chunks WHERE job_id = b.id) AS c ON true
     WHERE ${where}`,
    parameters,
  );
}

export const endedStatuses: readonly BatchStatus[] = ['completed', 'failed', 'cancelled'];
