import { z } from 'zod';
import type { Queryable } from '../postgres/database.js';
import { batchPrefix } from '../objects/object-keys.js';

/** Erased results, and the objects to delete. */
interface GivenUp {
  counts: Record<string, number>;
  objects: string[];
}

const idRow = z.object({ id: z.string() });

/**
 * Erases the results of batch predictions that contain one of these images, because a row of a Parquet file cannot be
 * removed. A running job ends with its next chunk.
 */
export function eraseBatchesOf(tx: Queryable, sha256s: readonly string[]): Promise<GivenUp> {
  return giveUp(tx, `id IN (SELECT job_id FROM batch_prediction_chunks WHERE images && $1::text[])`, [...sha256s]);
}

/** Erases those over a dataset, whole or in part. */
export function eraseBatchesOfDataset(tx: Queryable, dataset: string): Promise<GivenUp> {
  return giveUp(tx, `job_order #>> '{source,dataset}' = $1`, dataset);
}

/** Erases those of a model. */
export function eraseBatchesOfModel(tx: Queryable, modelName: string): Promise<GivenUp> {
  return giveUp(tx, 'model_name = $1', modelName);
}

async function giveUp(tx: Queryable, condition: string, parameter: unknown): Promise<GivenUp> {
  // Wait for chunks that are being recorded, to include them; later chunks see the erasure.
  await tx.query(`SELECT FROM batch_predictions WHERE status IN ('waiting', 'running') ORDER BY id FOR UPDATE`);
  const erased = await tx.rows(
    idRow,
    `UPDATE batch_predictions SET erased_at = now(), results = '[]'
     WHERE erased_at IS NULL AND ${condition} RETURNING id`,
    [parameter],
  );
  const ids = erased.map(({ id }) => id);
  await tx.query(`UPDATE batch_prediction_chunks SET images = '{}' WHERE job_id = ANY($1)`, [ids]);
  return { counts: ids.length === 0 ? {} : { batch_predictions: ids.length }, objects: ids.map(batchPrefix) };
}
