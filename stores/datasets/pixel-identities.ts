import { z } from 'zod';
import { pixelVersion, type PixelIdentity } from '../../contracts/datasets/datasets.js';
import type { Database } from '../postgres/database.js';

const unidentifiedRow = z.object({ sha256: z.string(), objectKey: z.string() });

/** What images show, whatever their files. */
export interface PixelIdentityStore {
  /** Those pixels of which an image was erased: it must not be stored in another file either. */
  erasedAmong(identities: readonly PixelIdentity[]): Promise<Set<string>>;
  /** Images in sources of the dataset whose pixels were not read yet, or by another version of the digest. */
  unidentified(dataset: string, limit: number): Promise<z.output<typeof unidentifiedRow>[]>;
  /** Records the pixels of such an image; null when it cannot be decoded. */
  identify(sha256: string, identity: PixelIdentity | null): Promise<void>;
}

export function createPixelIdentityStore(db: Database): PixelIdentityStore {
  return {
    async erasedAmong(identities) {
      const erased = await db.rows(
        z.object({ pixelSha256: z.string() }),
        `SELECT DISTINCT pixel_sha256 FROM images
         WHERE pixel_sha256 = ANY($1) AND pixel_version = $2 AND erased_at IS NOT NULL`,
        [identities.map(({ pixelSha256 }) => pixelSha256), pixelVersion],
      );
      return new Set(erased.map(({ pixelSha256 }) => pixelSha256));
    },
    unidentified: (dataset, limit) =>
      db.rows(
        unidentifiedRow,
        `SELECT sha256, object_key FROM images i
         WHERE pixel_version IS DISTINCT FROM $2 AND erased_at IS NULL AND removed_at IS NULL AND EXISTS (
           SELECT FROM ingestion_files f JOIN ingestions n ON n.id = f.ingestion_id
           WHERE f.sha256 = i.sha256 AND n.dataset = $1)
         ORDER BY sha256 LIMIT $3`,
        [dataset, pixelVersion, limit],
      ),
    async identify(sha256, identity) {
      await db.query(
        'UPDATE images SET pixel_sha256 = $2, pixel_version = $3, perceptual_hash = $4 WHERE sha256 = $1',
        [sha256, identity?.pixelSha256 ?? null, pixelVersion, identity?.perceptualHash ?? null],
      );
    },
  };
}
