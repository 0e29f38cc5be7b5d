import { z } from 'zod';
import { pixelVersion, type PixelIdentity } from '../../contracts/datasets/datasets.js';
import type { Database } from '../postgres/database.js';

const unidentifiedRow = z.object({ sha256: z.string(), objectKey: z.string() });

/** What images show, whatever their files. */
export interface PixelIdentityStore {
  /** Whether an image with these pixels was erased: it must not be stored in another file either. */
  isErased(identity: PixelIdentity): Promise<boolean>;
  /** Images in sources of the dataset whose pixels were not read yet, or by another version of the digest. */
  unidentified(dataset: string, limit: number): Promise<z.output<typeof unidentifiedRow>[]>;
  /** Records the pixels of such an image; null when it cannot be decoded. */
  identify(sha256: string, identity: PixelIdentity | null): Promise<void>;
}

export function createPixelIdentityStore(db: Database): PixelIdentityStore {
  return {
    async isErased({ pixelSha256, pixelVersion: version }) {
      const erased = await db.query(
        'SELECT FROM images WHERE pixel_sha256 = $1 AND pixel_version = $2 AND erased_at IS NOT NULL LIMIT 1',
        [pixelSha256, version],
      );
      return erased.length > 0;
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
