import { z } from 'zod';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { inputsLock } from '../erasure/erase-items.js';
import { claimObject } from '../objects/object-claims.js';
import type { ObjectStore } from '../objects/object-store.js';

const inputRow = z.object({
  predictionId: z.string(),
  /** When it was predicted. */
  createdAt: timestampColumn,
  modelName: z.string(),
  objectKey: z.string(),
  /** Digest of the uploaded file. */
  imageSha256: z.string(),
  /** Digest of the stored bytes. */
  contentSha256: z.string(),
  sizeBytes: integerColumn,
  contentType: z.string(),
  /** Null for an image that a dataset needs. */
  expiresAt: timestampColumn.nullable(),
});
export type PredictionInput = z.output<typeof inputRow>;

/** Captured images of predictions. */
export interface PredictionInputStore {
  /** Protects an object from retention that is stored again after a failure. */
  claim(objectKey: string): Promise<void>;
  /** Records an image whose object is stored. False if it was erased meanwhile: the caller must delete the object. */
  add(input: PredictionInput): Promise<boolean>;
  /** Null also if expired. */
  get(predictionId: string): Promise<PredictionInput | null>;
  countExpired(): Promise<number>;
  /** At most `limit` expired images, the longest expired first. */
  expired(limit: number): Promise<Pick<PredictionInput, 'predictionId' | 'objectKey'>[]>;
  remove(predictionIds: readonly string[]): Promise<void>;
}

const present = '(expires_at IS NULL OR expires_at > now())';

export function createPredictionInputStore(db: Database): PredictionInputStore {
  return {
    claim: (objectKey) => claimObject(db, objectKey),
    add: (input) => db.transaction((tx) => add(tx, input)),
    get: (predictionId) =>
      db.row(inputRow, `SELECT * FROM prediction_inputs WHERE prediction_id = $1 AND ${present}`, [predictionId]),
    async countExpired() {
      const sql = `SELECT count(*) AS total FROM prediction_inputs WHERE NOT ${present}`;
      return (await db.row(z.object({ total: integerColumn }), sql))?.total ?? 0;
    },
    expired: (limit) =>
      db.rows(
        inputRow.pick({ predictionId: true, objectKey: true }),
        'SELECT prediction_id, object_key FROM prediction_inputs WHERE expires_at <= now() ORDER BY expires_at LIMIT $1',
        [limit],
      ),
    async remove(predictionIds) {
      await db.query('DELETE FROM prediction_inputs WHERE prediction_id = ANY($1)', [predictionIds]);
    },
  };
}

async function add(tx: Queryable, input: PredictionInput): Promise<boolean> {
  const { predictionId, createdAt, modelName, objectKey, imageSha256, contentSha256 } = input;
  // Erasures hold this lock exclusively, so that an image in transit is either visible to them or sees them.
  await tx.query('SELECT pg_advisory_xact_lock_shared(hashtext($1))', [inputsLock]);
  const erased = await tx.query(
    `SELECT FROM predictions WHERE created_at = $1 AND id = $2 AND erased_at IS NOT NULL
     UNION ALL SELECT FROM images WHERE sha256 = ANY($3) AND erased_at IS NOT NULL`,
    [createdAt, predictionId, [imageSha256, contentSha256]],
  );
  if (erased.length > 0) return false;
  await tx.query(
    `INSERT INTO prediction_inputs (prediction_id, created_at, model_name, object_key, image_sha256, content_sha256,
       size_bytes, content_type, expires_at, decided_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9,
       (SELECT max(d.created_at) FROM label_decisions d WHERE d.model_name = $3 AND d.content_sha256 = $6)
     ON CONFLICT DO NOTHING`,
    [
      predictionId,
      createdAt,
      modelName,
      objectKey,
      imageSha256,
      contentSha256,
      input.sizeBytes,
      input.contentType,
      input.expiresAt,
    ],
  );
  return true;
}

const batchSize = 200;

type Removal = { inputs: PredictionInputStore; objects: Pick<ObjectStore, 'deleteMany'> };

/** Removes expired images; returns their number. */
export async function removeExpiredInputs({ inputs, objects }: Removal): Promise<number> {
  let removed = 0;
  for (;;) {
    const batch = await inputs.expired(batchSize);
    await objects.deleteMany(batch.map(({ objectKey }) => objectKey));
    await inputs.remove(batch.map(({ predictionId }) => predictionId));
    removed += batch.length;
    if (batch.length < batchSize) return removed;
  }
}
