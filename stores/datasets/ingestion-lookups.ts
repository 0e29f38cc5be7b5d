import { z } from 'zod';
import type { Queryable } from '../postgres/database.js';

/** `known`: the image is stored and its facts are recorded. `erased`: it must not be stored again. */
export type ImageStatus = 'new' | 'known' | 'erased';

/** The labels of the current version of a dataset. */
export async function readLabels(db: Queryable, dataset: string): Promise<string[]> {
  const found = await db.rows(
    z.object({ label: z.string() }),
    `SELECT jsonb_object_keys(v.statistics -> 'classes') AS label FROM dataset_versions v
     JOIN datasets d ON d.name = v.dataset AND d.current_version = v.version
     WHERE d.name = $1 AND v.erased_at IS NULL`,
    [dataset],
  );
  return found.map(({ label }) => label);
}

/** The status of images that are not new. */
export async function imageStatusesOf(db: Queryable, sha256s: readonly string[]): Promise<Map<string, ImageStatus>> {
  const images = await db.rows(
    z.object({ sha256: z.string(), isErased: z.boolean() }),
    `SELECT sha256, erased_at IS NOT NULL AS is_erased FROM images
     WHERE sha256 = ANY($1) AND (removed_at IS NULL OR erased_at IS NOT NULL)`,
    [sha256s],
  );
  return new Map(images.map(({ sha256, isErased }) => [sha256, isErased ? 'erased' : 'known']));
}

/** SHA-256 of the recorded images with these MD5s, by MD5. */
export async function holdersOfMd5(db: Queryable, md5s: readonly string[]): Promise<Map<string, string>> {
  const holders = await db.rows(
    z.object({ md5: z.string(), sha256: z.string() }),
    'SELECT md5, sha256 FROM images WHERE md5 = ANY($1)',
    [md5s],
  );
  return new Map(holders.map(({ md5, sha256 }) => [md5, sha256]));
}
