import type { Database } from '../postgres/database.js';

/** Held shared while a claim is written, and exclusively while unreferenced objects are removed. */
export const removalLock = 'object removal';

/** How long a claim protects an object: longer than any activity takes from the upload to the row. */
export const claimHours = 48;

/** Void claims that a new claim deletes, so that the table stays small although the retention may be paused. */
const voidClaimsAtOnce = 100;

/**
 * Protects an object from the retention until it is recorded. Call it before the upload of an object whose key was
 * possibly used before, because it is derived from the content: the retention may be removing that former object. Waits
 * until a removal under way has ended, so that the upload comes after it.
 */
export function claimObject(db: Database, objectKey: string): Promise<void> {
  return claimObjects(db, [objectKey]);
}

/** Protects several objects, see `claimObject`. */
export async function claimObjects(db: Database, objectKeys: readonly string[]): Promise<void> {
  // One statement, since an ingestion claims every new image; in order, so that two ingestions cannot deadlock.
  const keys = [...new Set(objectKeys)].sort();
  await db.query(
    `WITH void AS (
       DELETE FROM object_claims WHERE object_key IN (
         SELECT object_key FROM object_claims
         WHERE claimed_at < now() - $3 * interval '1 hour' AND object_key <> ALL($2::text[])
         LIMIT $4 FOR UPDATE SKIP LOCKED))
     INSERT INTO object_claims (object_key, claimed_at)
     SELECT key, clock_timestamp() FROM pg_advisory_xact_lock_shared(hashtext($1)), unnest($2::text[]) AS key
     ON CONFLICT (object_key) DO UPDATE SET claimed_at = excluded.claimed_at`,
    [removalLock, keys, claimHours, voidClaimsAtOnce],
  );
}
