import { z } from 'zod';
import { timeOfUuid7 } from '../../platform/uuid7.js';
import type { Queryable } from '../postgres/database.js';
import { rawImageKey } from '../objects/object-keys.js';
import { eraseBatchesOf } from './erase-batches.js';

/** Rows that an erasure cleared, and the objects to delete. */
export interface Erased {
  counts: Record<string, number>;
  /** Keys, or prefixes that end in a slash. */
  objects: string[];
}

const keyRow = z.object({ objectKey: z.string() });

/** Clears a prediction's digest, probabilities, captured image, and who gave feedback. Null if already cleared. */
export async function erasePrediction(tx: Queryable, id: string): Promise<Erased | null> {
  const cleared = await tx.query(
    `UPDATE predictions SET image_sha256 = NULL, probabilities = NULL, erased_at = now()
     WHERE created_at = $1 AND id = $2 AND erased_at IS NULL RETURNING id`,
    [timeOfUuid7(id), id],
  );
  const feedback = await clearFeedback(tx, 'prediction_id = $1', [id]);
  const inputs = await dropInputs(tx, 'prediction_id = $1', [id]);
  if (cleared.length + feedback + inputs.objects.length === 0) return null;
  return { counts: { predictions: cleared.length, feedback, ...inputs.counts }, objects: inputs.objects };
}

/** Clears the predictions of these images, and the batch results that contain them. */
export async function clearPredictionsOf(tx: Queryable, sha256s: readonly string[]): Promise<Erased> {
  const sent = await hashesOf(tx, 'image_sha256', 'content_sha256', sha256s);
  const cleared = await tx.rows(
    z.object({ id: z.string() }),
    `UPDATE predictions SET image_sha256 = NULL, probabilities = NULL, erased_at = now()
     WHERE image_sha256 = ANY($1) RETURNING id`,
    [[...sha256s, ...sent]],
  );
  const feedback = await clearFeedback(tx, 'prediction_id = ANY($1)', [cleared.map(({ id }) => id)]);
  const inputs = await dropInputs(tx, 'prediction_id = ANY($1) OR image_sha256 = ANY($2) OR content_sha256 = ANY($2)', [
    cleared.map(({ id }) => id),
    sha256s,
  ]);
  const batches = await eraseBatchesOf(tx, [...sha256s, ...sent]);
  return {
    counts: { predictions: cleared.length, feedback, ...inputs.counts, ...batches.counts },
    objects: [...inputs.objects, ...batches.objects],
  };
}

/**
 * Deletes captured images of predictions, and clears actor and image of label decisions on them. Images in transit wait
 * for this lock and see the erasure.
 */
export async function dropInputs(tx: Queryable, condition: string, parameters: unknown[]): Promise<Erased> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtext($1))', [inputsLock]);
  const inputs = await tx.rows(
    keyRow,
    `DELETE FROM prediction_inputs WHERE ${condition} RETURNING object_key`,
    parameters,
  );
  const labels = await tx.query(
    `UPDATE label_decisions SET actor = NULL, comment = NULL, image_sha256 = NULL, content_sha256 = NULL
     WHERE (${condition}) AND coalesce(actor, comment, image_sha256, content_sha256) IS NOT NULL RETURNING id`,
    parameters,
  );
  return {
    counts: { inputs: inputs.length, labels: labels.length },
    objects: inputs.map(({ objectKey }) => objectKey),
  };
}

/** Held shared by arriving images and exclusively by erasures. */
export const inputsLock = 'prediction inputs';

/** Maps digests of uploaded files to digests of captured images, or back. */
async function hashesOf(
  tx: Queryable,
  wanted: 'image_sha256' | 'content_sha256',
  known: 'image_sha256' | 'content_sha256',
  sha256s: readonly string[],
): Promise<string[]> {
  const rows = await tx.rows(
    z.object({ sha256: z.string() }),
    `SELECT ${wanted} AS sha256 FROM prediction_inputs WHERE ${known} = ANY($1)
     UNION SELECT ${wanted} FROM label_decisions WHERE ${known} = ANY($1) AND ${wanted} IS NOT NULL`,
    [sha256s],
  );
  return rows.map(({ sha256 }) => sha256);
}

/** Clears actors and comments of labels; the labels stay, because accuracy is computed from them. */
export async function clearFeedback(tx: Queryable, condition: string, parameters: unknown[]): Promise<number> {
  const cleared = await tx.query(
    `UPDATE feedback SET actor = NULL, comment = NULL
     WHERE ${condition} AND (actor IS NOT NULL OR comment IS NOT NULL) RETURNING id`,
    parameters,
  );
  return cleared.length;
}

/**
 * Erases an image: deletes its bytes and embeddings, excludes it from later dataset versions, clears its predictions, and
 * deletes batch results that contain it; so it is with every other file that shows the same pixels. Rows stay, so that the
 * same bytes, and the same pixels, are refused later. Null if already erased.
 */
export async function eraseImage(tx: Queryable, sha256: string): Promise<Erased | null> {
  // Versions are made under a lock on a row of this table: none that holds the image can be made until the end.
  await tx.query('LOCK TABLE datasets IN EXCLUSIVE MODE');
  const known = [sha256, ...(await hashesOf(tx, 'content_sha256', 'image_sha256', [sha256]))];
  const sha256s = [...new Set([...known, ...(await samePictures(tx, known))])];
  const marked = await tx.rows(
    keyRow,
    'UPDATE images SET erased_at = now() WHERE sha256 = ANY($1) AND erased_at IS NULL RETURNING object_key',
    [sha256s],
  );
  const features = await dropFeatureFiles(tx, sha256s);
  const predictions = await clearPredictionsOf(tx, sha256s);
  const listings = await unpublishVersionsWith(tx, sha256s);
  const objects = [
    ...marked.map(({ objectKey }) => objectKey),
    ...listings,
    ...features.objects,
    ...predictions.objects,
  ];
  if (objects.length + (predictions.counts['predictions'] ?? 0) === 0) return null;
  await tx.query(
    `UPDATE ingestion_files SET outcome = 'quarantined', reason = 'erased', detail = 'This image was erased on request.',
       sha256 = NULL WHERE sha256 = ANY($1)`,
    [sha256s],
  );
  return { counts: { images: marked.length, ...features.counts, ...predictions.counts }, objects };
}

async function samePictures(tx: Queryable, sha256s: readonly string[]): Promise<string[]> {
  const rows = await tx.rows(
    z.object({ sha256: z.string() }),
    `SELECT other.sha256 FROM images i JOIN images other USING (pixel_sha256, pixel_version) WHERE i.sha256 = ANY($1)`,
    [sha256s],
  );
  return rows.map(({ sha256 }) => sha256);
}

/**
 * Lets the versions that contain these images be published without them, and clears why and by whom the images were
 * corrected. Returns the listings that name the images. They are not listed again by a repeated erasure.
 */
async function unpublishVersionsWith(tx: Queryable, sha256s: readonly string[]): Promise<string[]> {
  const versions = await tx.rows(
    z.object({ dvcMd5: z.string() }),
    `UPDATE dataset_versions v SET published_at = NULL, publication = publication + 1
     WHERE erased_at IS NULL AND EXISTS (
       SELECT FROM dataset_examples e JOIN images i USING (sha256) WHERE e.dataset = v.dataset
         AND e.version = v.version AND e.sha256 = ANY($1) AND i.erased_at = now())
     RETURNING dvc_md5`,
    [sha256s],
  );
  await tx.query('UPDATE image_corrections SET reason = NULL, actor = NULL WHERE sha256 = ANY($1)', [sha256s]);
  return [...new Set(versions.map(({ dvcMd5 }) => rawImageKey(`${dvcMd5}.dir`)))];
}

/**
 * Deletes the embedding files of these images. The next training recomputes the other embeddings of these files, because a
 * row of a Parquet file cannot be removed.
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
