import { z } from 'zod';
import { imageFormats } from '../../contracts/datasets/datasets.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';

const imageRow = z.object({
  sha256: z.string(),
  format: z.enum(imageFormats),
  sizeBytes: integerColumn,
  objectKey: z.string(),
  erasedAt: timestampColumn.nullable(),
});
export type StoredImage = z.output<typeof imageRow>;

/** Images of every dataset, by the digest of their bytes. */
export interface ImageStore {
  /** The known images among these, including erased ones, unordered; none whose bytes retention removed. */
  find(sha256s: readonly string[]): Promise<StoredImage[]>;
}

export function createImageStore(db: Database): ImageStore {
  return {
    find: (sha256s) =>
      db.rows(
        imageRow,
        `SELECT sha256, format, size_bytes, object_key, erased_at FROM images
         WHERE sha256 = ANY($1) AND (removed_at IS NULL OR erased_at IS NOT NULL)`,
        [sha256s],
      ),
  };
}
