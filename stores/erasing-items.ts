import { z } from 'zod';
import { timeOfUuid7 } from '../platform/uuid7.js';
import type { Queryable } from './database.js';

/** What an erasure took out of the record, and what it leaves to delete in the object store. */
export interface Erased {
  counts: Record<string, number>;
  /** Keys, or prefixes that end in a slash. */
  objects: string[];
}

const keyRow = z.object({ objectKey: z.string() });

/** Clears what a prediction tells of its picture, and who said what about it. Null when nothing is left to clear. */
export async function erasePrediction(tx: Queryable, id: string): Promise<Erased | null> {
  const cleared = await tx.query(
    `UPDATE predictions SET image_sha256 = NULL, probabilities = NULL, erased_at = now()
     WHERE created_at = $1 AND id = $2 AND erased_at IS NULL RETURNING id`,
    [timeOfUuid7(id), id],
  );
  if (cleared.length === 0) return null;
  const feedback = await clearFeedback(tx, 'prediction_id = $1', [id]);
  return { counts: { predictions: 1, feedback }, objects: [] };
}

/** Clears the predictions that were made of these images, as if each had been erased by itself. */
export async function clearPredictionsOf(
  tx: Queryable,
  sha256s: readonly string[],
): Promise<{ predictions: number; feedback: number }> {
  const cleared = await tx.rows(
    z.object({ id: z.string() }),
    `UPDATE predictions SET image_sha256 = NULL, probabilities = NULL, erased_at = now()
     WHERE image_sha256 = ANY($1) RETURNING id`,
    [sha256s],
  );
  const feedback = await clearFeedback(tx, 'prediction_id = ANY($1)', [cleared.map(({ id }) => id)]);
  return { predictions: cleared.length, feedback };
}

/** Clears who gave labels and what they wrote; the labels stay, because accuracy is counted from them. */
export async function clearFeedback(tx: Queryable, condition: string, parameters: unknown[]): Promise<number> {
  const cleared = await tx.query(
    `UPDATE feedback SET actor = NULL, comment = NULL
     WHERE ${condition} AND (actor IS NOT NULL OR comment IS NOT NULL) RETURNING id`,
    parameters,
  );
  return cleared.length;
}

/**
 * Takes an image out of everything that comes: its bytes and embeddings go, no later version of a dataset has it, and
 * predictions no longer tell that they were made of it. Its row stays, so that the same bytes are refused when they come again. Null when nothing is left of it.
 */
export async function eraseImage(tx: Queryable, sha256: string): Promise<Erased | null> {
  const marked = await tx.rows(
    keyRow,
    'UPDATE images SET erased_at = now() WHERE sha256 = $1 AND erased_at IS NULL RETURNING object_key',
    [sha256],
  );
  const features = await dropFeatureFiles(tx, [sha256]);
  const predictions = await clearPredictionsOf(tx, [sha256]);
  if (marked.length + features.objects.length + predictions.predictions === 0) return null;
  await tx.query(
    `UPDATE ingestion_files SET outcome = 'quarantined', reason = 'erased', detail = 'This image was erased on request.',
       sha256 = NULL WHERE sha256 = $1`,
    [sha256],
  );
  return {
    counts: { images: marked.length, ...features.counts, ...predictions },
    objects: [...marked.map(({ objectKey }) => objectKey), ...features.objects],
  };
}

/**
 * Gives up the files that hold embeddings of these images, and with them those of their neighbours in the files, which
 * the next training computes anew: a Parquet file cannot be made to forget a row.
 */
export async function dropFeatureFiles(tx: Queryable, sha256s: readonly string[]): Promise<Erased> {
  const files = await tx.rows(
    keyRow,
    `UPDATE feature_files SET erased_at = now()
     WHERE id IN (SELECT file_id FROM features WHERE sha256 = ANY($1)) RETURNING object_key`,
    [sha256s],
  );
  const objects = files.map(({ objectKey }) => objectKey);
  const embeddings = await tx.query(
    `DELETE FROM features WHERE file_id IN (SELECT id FROM feature_files WHERE object_key = ANY($1)) RETURNING sha256`,
    [objects],
  );
  return { counts: { feature_files: objects.length, embeddings: embeddings.length }, objects };
}
