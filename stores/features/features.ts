import { z } from 'zod';
import { claimObject } from '../objects/object-claims.js';
import type { Database } from '../postgres/database.js';

export interface FeatureFile {
  objectKey: string;
  sha256: string;
}

/** What embeddings are computed with. Those of another backbone, pixels or runtime are never used for each other. */
export interface FeatureKind {
  backbone: string;
  preprocessing: number;
  runtime: string;
}

/** Index of embeddings: image and kind to Parquet file in the object store. */
export interface FeatureStore {
  /** Those of `sha256s` without an embedding, in the given order. */
  missing(kind: FeatureKind, sha256s: readonly string[]): Promise<string[]>;
  /** Protects a file from retention until it is recorded; call it before the upload. */
  claim(objectKey: string): Promise<void>;
  /** Records an uploaded file; `images` in the order of its rows. Existing embeddings stay. */
  add(
    kind: FeatureKind,
    file: { objectKey: string; sha256: string; images: readonly string[]; runId: string },
  ): Promise<void>;
  /** The distinct files that together hold the embeddings of `sha256s`. */
  locate(kind: FeatureKind, sha256s: readonly string[]): Promise<FeatureFile[]>;
}

export function createFeatureStore(db: Database): FeatureStore {
  return {
    async missing({ backbone, preprocessing, runtime }, sha256s) {
      const rows = await db.rows(
        z.object({ sha256: z.string() }),
        `SELECT wanted.sha256 FROM unnest($4::text[]) WITH ORDINALITY AS wanted (sha256, position)
         WHERE NOT EXISTS (SELECT FROM features f
           WHERE (f.backbone_digest, f.preprocessing, f.runtime, f.sha256) = ($1, $2, $3, wanted.sha256))
         ORDER BY position`,
        [backbone, preprocessing, runtime, sha256s],
      );
      return rows.map(({ sha256 }) => sha256);
    },
    claim: (objectKey) => claimObject(db, objectKey),
    async add({ backbone, preprocessing, runtime }, { objectKey, sha256, images, runId }) {
      await db.query(
        `WITH file AS (
           INSERT INTO feature_files (backbone_digest, preprocessing, runtime, object_key, sha256, run_id)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (object_key) DO UPDATE SET sha256 = excluded.sha256, erased_at = NULL RETURNING id)
         INSERT INTO features (backbone_digest, preprocessing, runtime, sha256, file_id, position)
         SELECT $1, $2, $3, image.sha256, file.id, image.position - 1
         FROM file, unnest($7::text[]) WITH ORDINALITY AS image (sha256, position)
         ON CONFLICT (backbone_digest, preprocessing, runtime, sha256) DO NOTHING`,
        [backbone, preprocessing, runtime, objectKey, sha256, runId, images],
      );
    },
    locate: ({ backbone, preprocessing, runtime }, sha256s) =>
      db.rows(
        z.object({ objectKey: z.string(), sha256: z.string() }),
        `SELECT object_key, sha256 FROM feature_files WHERE id IN
           (SELECT file_id FROM features
            WHERE (backbone_digest, preprocessing, runtime) = ($1, $2, $3) AND sha256 = ANY($4))
         ORDER BY id`,
        [backbone, preprocessing, runtime, sha256s],
      ),
  };
}
