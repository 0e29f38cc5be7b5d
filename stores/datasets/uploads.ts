import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { integerColumn } from '../postgres/columns.js';
import { uploadPrefix } from '../objects/object-keys.js';
import type { ObjectStore } from '../objects/object-store.js';
import type { Database } from '../postgres/database.js';

const uploadRow = z.object({
  /** Null for images that are uploaded for prediction only. */
  dataset: z.string().nullable(),
  /** Null for an archive, which brings its own labels. */
  label: z.string().nullable(),
  isDiscarded: z.boolean(),
});
export type Upload = z.output<typeof uploadRow>;

const positionRow = z.object({ position: z.number() });

const fileRow = z.object({
  position: z.number(),
  name: z.string(),
  objectKey: z.string(),
  sizeBytes: integerColumn,
});
export type UploadFile = z.output<typeof fileRow>;

/** Images uploaded over HTTP that wait in the object store for ingestion or prediction. */
export interface UploadStore {
  /**
   * Begins an upload whose files share one label, which is an archive of class folders (label null), or which is for prediction only
   * (dataset null); returns its id.
   */
  createUpload(upload: { dataset: string; label: string | null } | { dataset: null; label: null }): Promise<string>;
  /** Records a stored file. Throws `conflict` if the upload was deleted with its dataset. */
  addUploadFile(uploadId: string, position: number, name: string, objectKey: string, sizeBytes: number): Promise<void>;
  /** Records the stored bytes of a refused file of an archive; again, it changes nothing. */
  addRefusedEntry(uploadId: string, path: string, objectKey: string, sizeBytes: number): Promise<void>;
  /** Throws `not_found`. */
  getUpload(uploadId: string): Promise<Upload>;
  uploadFiles(uploadId: string): Promise<UploadFile[]>;
  /**
   * Marks the files that ingestions of the upload refused, except erased images, which must not be stored; the refused
   * entries of an archive are marked already. Returns the keys of the other files, or null if none was refused.
   */
  markRefused(uploadId: string): Promise<string[] | null>;
  /** Marks the originals as deleted from the object store. */
  markDiscarded(uploadId: string): Promise<void>;
}

export function createUploadStore(db: Database): UploadStore {
  return {
    async createUpload({ dataset, label }) {
      const id = randomUUID();
      await db.query('INSERT INTO uploads (id, dataset, label) VALUES ($1, $2, $3)', [id, dataset, label]);
      return id;
    },
    async addUploadFile(uploadId, position, name, objectKey, sizeBytes) {
      const added = await db.row(
        positionRow,
        `INSERT INTO upload_files (upload_id, position, name, object_key, size_bytes)
         SELECT id, $2, $3, $4, $5 FROM uploads WHERE id = $1 FOR KEY SHARE
         ON CONFLICT (upload_id, position) DO UPDATE SET name = excluded.name, object_key = excluded.object_key,
           size_bytes = excluded.size_bytes
         RETURNING position`,
        [uploadId, position, name, objectKey, sizeBytes],
      );
      if (!added)
        throw new PerennialError('conflict', 'The dataset was deleted during the upload. Send the images again.');
    },
    async addRefusedEntry(uploadId, path, objectKey, sizeBytes) {
      await db.query(
        `INSERT INTO upload_files (upload_id, position, name, object_key, size_bytes, is_refused)
         SELECT upload_id, max(position) + 1, $2, $3, $4, true FROM upload_files WHERE upload_id = $1
         GROUP BY upload_id HAVING count(*) FILTER (WHERE object_key = $3) = 0`,
        [uploadId, path, objectKey, sizeBytes],
      );
    },
    async getUpload(uploadId) {
      const upload = await db.row(
        uploadRow,
        'SELECT dataset, label, discarded_at IS NOT NULL AS is_discarded FROM uploads WHERE id = $1',
        [uploadId],
      );
      if (upload) return upload;
      throw new PerennialError('not_found', `There is no upload ${uploadId}. Send the images again.`);
    },
    uploadFiles: (uploadId) =>
      db.rows(fileRow, 'SELECT * FROM upload_files WHERE upload_id = $1 ORDER BY position', [uploadId]),
    markRefused: (uploadId) => markRefused(db, uploadId),
    async markDiscarded(uploadId) {
      await db.query('UPDATE uploads SET discarded_at = coalesce(discarded_at, now()) WHERE id = $1', [uploadId]);
    },
  };
}

async function markRefused(db: Database, uploadId: string): Promise<string[] | null> {
  await db.query(
    `UPDATE upload_files u SET is_refused = true
     FROM uploads upload, ingestions i JOIN ingestion_files f ON f.ingestion_id = i.id
     WHERE i.kind = 'upload' AND i.locator = $1 AND u.upload_id::text = i.locator
       AND upload.id = u.upload_id AND upload.label IS NOT NULL
       AND f.outcome = 'quarantined' AND f.reason <> 'erased'
       AND u.position = CASE WHEN f.path ~ '^[0-9]{6}-' THEN left(f.path, 6)::integer END`,
    [uploadId],
  );
  const files = await db.rows(
    z.object({ objectKey: z.string(), isRefused: z.boolean() }),
    'SELECT object_key, is_refused FROM upload_files WHERE upload_id = $1',
    [uploadId],
  );
  if (!files.some(({ isRefused }) => isRefused)) return null;
  return files.flatMap(({ objectKey, isRefused }) => (isRefused ? [] : [objectKey]));
}

export interface DiscardStores {
  uploads: Pick<UploadStore, 'markDiscarded'>;
  objects: Pick<ObjectStore, 'deletePrefix'>;
}

/** Removes the files of an upload from the object store, also those that were never recorded. May be called again. */
export async function discardUpload({ uploads, objects }: DiscardStores, uploadId: string): Promise<void> {
  await objects.deletePrefix(uploadPrefix(uploadId));
  await uploads.markDiscarded(uploadId);
}

/** As `discardUpload`, but the files that ingestions refused stay, so that a person can look at them. */
export async function settleUpload(
  stores: {
    uploads: Pick<UploadStore, 'markDiscarded' | 'markRefused'>;
    objects: Pick<ObjectStore, 'deletePrefix' | 'deleteMany'>;
  },
  uploadId: string,
): Promise<void> {
  const others = await stores.uploads.markRefused(uploadId);
  if (others === null) return discardUpload(stores, uploadId);
  await stores.objects.deleteMany(others);
  await stores.uploads.markDiscarded(uploadId);
}
