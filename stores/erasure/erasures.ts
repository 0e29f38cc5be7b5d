import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import { erasureKinds, type ErasureKind } from '../../contracts/predictions/predictions.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { eraseImage, erasePrediction, type Erased } from './erase-items.js';
import { eraseDataset, eraseModel } from './erase-sets.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';

const erasureRow = z.object({
  id: integerColumn,
  kind: z.enum(erasureKinds),
  /** The erased subject: prediction id, image SHA-256, or name. */
  subject: z.string(),
  reason: z.string(),
  actor: z.string(),
  counts: z.record(z.string(), z.number()),
  createdAt: timestampColumn,
  /** Number of objects still to be deleted. */
  pendingObjects: integerColumn,
});
/** A tombstone. */
export type Erasure = z.output<typeof erasureRow>;

export interface ErasureRequest {
  kind: ErasureKind;
  subject: string;
  reason: string;
}

/** Erasures on request; append-only. */
export interface ErasureStore {
  /**
   * Erases the subject from the database, in one transaction with its tombstone and the list of objects to delete. If it is
   * erased already, returns the existing tombstone. Throws `not_found`, and `referenced` or `conflict` while it is in use.
   */
  begin(request: ErasureRequest, by: Actor): Promise<{ id: number; repeated: boolean }>;
  /** Throws `not_found`. */
  get(id: number): Promise<Erasure>;
  /** Newest first. */
  list(query: { limit: number; pageToken?: string | null; kind?: ErasureKind | undefined }): Promise<Page<Erasure>>;
  /** Ids of erasures with objects to delete, oldest first. */
  unfinished(): Promise<number[]>;
  /** At most `limit` objects to delete; objects that are needed again are removed from the list instead. */
  pending(id: number, limit: number): Promise<string[]>;
  /** Removes deleted objects from the list. */
  forget(id: number, objectKeys: readonly string[]): Promise<void>;
}

const erasers: Record<ErasureKind, (tx: Queryable, subject: string) => Promise<Erased | null>> = {
  prediction: erasePrediction,
  image: eraseImage,
  dataset: eraseDataset,
  model: eraseModel,
};

/** The versions of which `o` is the DVC listing. */
const listedIn = `FROM dataset_versions v WHERE v.erased_at IS NULL
  AND o.object_key = format('raw/files/md5/%s/%s.dir', left(v.dvc_md5, 2), substr(v.dvc_md5, 3))`;

const withPending = `e.*, (SELECT count(*) FROM erasure_objects o WHERE o.erasure_id = e.id) AS pending_objects`;

export function createErasureStore(db: Database): ErasureStore {
  return {
    begin: (request, by) => db.transaction((tx) => begin(tx, request, by)),
    async get(id) {
      const found = await db.row(erasureRow, `SELECT ${withPending} FROM erasures e WHERE id = $1`, [id]);
      if (found) return found;
      throw new PerennialError('not_found', `There is no erasure ${id}.`);
    },
    async list({ limit, pageToken, kind }) {
      const rows = await db.rows(
        erasureRow,
        `SELECT ${withPending} FROM erasures e
         WHERE ($2::bigint IS NULL OR id < $2) AND ($3::text IS NULL OR kind = $3) ORDER BY id DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken), kind ?? null],
      );
      return pageBy(rows, limit, ({ id }) => id);
    },
    async unfinished() {
      const rows = await db.rows(
        z.object({ erasureId: integerColumn }),
        'SELECT DISTINCT erasure_id FROM erasure_objects ORDER BY erasure_id',
      );
      return rows.map(({ erasureId }) => erasureId);
    },
    pending: (id, limit) => db.transaction((tx) => pending(tx, id, limit)),
    async forget(id, objectKeys) {
      await db.query('DELETE FROM erasure_objects WHERE erasure_id = $1 AND object_key = ANY($2)', [id, objectKeys]);
    },
  };
}

async function begin(
  tx: Queryable,
  { kind, subject, reason }: ErasureRequest,
  by: Actor,
): Promise<{ id: number; repeated: boolean }> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`erase ${kind} ${subject}`]);
  const erased = await erasers[kind](tx, subject);
  if (!erased) return { id: await formerErasure(tx, kind, subject), repeated: true };
  const counts = { ...erased.counts, objects: erased.objects.length };
  const recorded = await tx.row(
    z.object({ id: integerColumn }),
    'INSERT INTO erasures (kind, subject, reason, actor, counts) VALUES ($1, $2, $3, $4, $5) RETURNING id',
    [kind, subject, reason, by.name, jsonParameter(counts)],
  );
  if (!recorded) throw new PerennialError('internal', `The erasure of ${kind} ${subject} could not be recorded.`);
  await tx.query('INSERT INTO erasure_objects SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING', [
    recorded.id,
    erased.objects,
  ]);
  await writeAudit(tx, { by, action: 'erasure.add', subject: `${kind}s/${subject}`, after: { reason, counts } });
  return { id: recorded.id, repeated: false };
}

async function formerErasure(tx: Queryable, kind: ErasureKind, subject: string): Promise<number> {
  const former = await tx.row(
    z.object({ id: integerColumn }),
    'SELECT id FROM erasures WHERE kind = $1 AND subject = $2 ORDER BY id DESC LIMIT 1',
    [kind, subject],
  );
  if (former) return former.id;
  throw new PerennialError('not_found', `There is no ${kind} ${subject}.`);
}

/**
 * The same bytes may have been ingested, embedded or listed again since the erasure. A listing of a version that has yet
 * to be published without an erased image waits for that.
 */
async function pending(tx: Queryable, id: number, limit: number): Promise<string[]> {
  await tx.query(
    `DELETE FROM erasure_objects o WHERE erasure_id = $1 AND (
       EXISTS (SELECT FROM images i WHERE i.object_key = o.object_key AND i.erased_at IS NULL)
       OR EXISTS (SELECT FROM feature_files f WHERE f.object_key = o.object_key AND f.erased_at IS NULL)
       OR EXISTS (SELECT ${listedIn} AND v.published_at IS NOT NULL))`,
    [id],
  );
  const rows = await tx.rows(
    z.object({ objectKey: z.string() }),
    `SELECT object_key FROM erasure_objects o WHERE erasure_id = $1 AND NOT EXISTS (SELECT ${listedIn})
     ORDER BY object_key LIMIT $2`,
    [id, limit],
  );
  return rows.map(({ objectKey }) => objectKey);
}
