import { z } from 'zod';
import type { Queryable } from '../postgres/database.js';

/**
 * `default` is one source at a time: photographs replace the synthetic set instead of joining it. A source also replaces
 * the one that its request names, and is the default in its place. Nothing is adopted if a later scan of the source, or of
 * the default, is committed already.
 */
export async function adoptMembers(tx: Queryable, ingestionId: string): Promise<void> {
  const adopted = await tx.row(
    z.object({ id: z.string() }),
    `INSERT INTO dataset_sources AS source (dataset, kind, locator, is_default, current_ingestion_id)
     SELECT dataset, kind, locator, is_default, id FROM ingestions i
     WHERE id = $1 AND NOT EXISTS (
       SELECT FROM dataset_sources s JOIN ingestions later ON later.id = s.current_ingestion_id
       WHERE later.dataset = i.dataset AND later.scan > i.scan
         AND ((later.kind, later.locator) = (i.kind, i.locator) OR (later.is_default AND i.is_default)))
     ON CONFLICT (dataset, kind, locator) DO UPDATE SET current_ingestion_id = excluded.current_ingestion_id,
       is_default = source.is_default OR excluded.is_default, scanned_at = now(), detached_at = NULL,
       replaced_by = NULL, missing_since = NULL
     RETURNING id`,
    [ingestionId],
  );
  if (!adopted) return;
  await tx.query(
    `WITH replaced AS (
       UPDATE dataset_sources source
       SET is_default = false, current_ingestion_id = NULL, detached_at = now(), replaced_by = $2
       FROM ingestions i
       WHERE i.id = $1 AND source.dataset = i.dataset AND source.id <> $2 AND source.current_ingestion_id IS NOT NULL
         AND ((i.is_default AND source.is_default) OR source.id = i.replaces_source)
       RETURNING i.replaces_source = source.id AND i.is_default IS FALSE AS is_named, source.id)
     UPDATE dataset_sources new SET is_default = true
     FROM replaced JOIN dataset_sources former ON former.id = replaced.id
     WHERE new.id = $2 AND replaced.is_named AND former.is_default`,
    [ingestionId, adopted.id],
  );
}
