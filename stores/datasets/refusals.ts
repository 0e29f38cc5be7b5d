import { z } from 'zod';
import { quarantineReasonSchema, type QuarantineReason } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { integerColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';
import type { Page } from '../postgres/page.js';
import { sourceKinds } from './datasets.js';

const refusedRow = z.object({
  runId: z.string(),
  kind: z.enum(sourceKinds),
  locator: z.string(),
  path: z.string(),
  label: z.string().nullable(),
  reason: quarantineReasonSchema,
  detail: z.string().nullable(),
  /** Position of the stored file in its upload; null if its bytes are not stored here. */
  position: z.number().nullable(),
});
export type RefusedFile = z.output<typeof refusedRow>;

const conflictRow = z.object({ sha256: z.string(), labels: z.array(z.string()), paths: z.array(z.string()) });
export type OpenConflict = z.output<typeof conflictRow>;

const storedFileRow = z.object({ name: z.string(), objectKey: z.string(), sizeBytes: integerColumn });
export type RefusedUpload = z.output<typeof storedFileRow>;

interface PageQuery {
  limit: number;
  pageToken?: string | null;
}

/** What ingestions refused, whether or not a version was made of the rest. */
export interface RefusalStore {
  /**
   * Files that the current sources of a dataset hold and that were refused, and those of the latest failed ingestion of
   * each source; or those of one run.
   */
  files(
    dataset: string,
    query: PageQuery & { runId?: string | undefined; reason?: QuarantineReason | undefined },
  ): Promise<Page<RefusedFile>>;
  /** Images that the sources hold under several labels now. */
  conflicts(dataset: string, query: PageQuery): Promise<Page<OpenConflict>>;
  /** A refused file of an upload of the dataset whose bytes are stored; null without one. */
  upload(dataset: string, uploadId: string, position: number): Promise<RefusedUpload | null>;
}

const isCurrent = `EXISTS (SELECT FROM dataset_sources s WHERE s.current_ingestion_id = i.id)`;
const isLatestFailure = `i.status = 'abandoned' AND NOT EXISTS (SELECT FROM ingestions later
  WHERE (later.dataset, later.kind, later.locator) = (i.dataset, i.kind, i.locator) AND later.scan > i.scan
    AND later.status <> 'running')`;

export function createRefusalStore(db: Database): RefusalStore {
  return {
    async files(dataset, { limit, pageToken, runId, reason }) {
      const offset = offsetOf(pageToken);
      const rows = await db.rows(
        refusedRow,
        `SELECT i.id AS run_id, i.kind, i.locator, f.path, f.label, f.reason, f.detail, u.position
         FROM ingestions i JOIN ingestion_files f ON f.ingestion_id = i.id
         LEFT JOIN uploads upload ON i.kind = 'upload' AND upload.id::text = i.locator
         LEFT JOIN upload_files u ON u.upload_id = upload.id AND u.is_refused
           AND CASE WHEN upload.label IS NULL THEN u.name = f.path
             WHEN f.path ~ '^[0-9]{6}-' THEN u.position = left(f.path, 6)::integer END
         WHERE i.dataset = $1 AND f.outcome = 'quarantined' AND ($4::text IS NULL OR f.reason = $4)
           AND CASE WHEN $3::text IS NULL THEN ${isCurrent} OR (${isLatestFailure}) ELSE i.id = $3 END
         ORDER BY i.scan DESC, f.path LIMIT $2 OFFSET $5`,
        [dataset, limit + 1, runId ?? null, reason ?? null, offset],
      );
      return pageFrom(rows, limit, offset);
    },
    async conflicts(dataset, { limit, pageToken }) {
      const offset = offsetOf(pageToken);
      const rows = await db.rows(
        conflictRow,
        `SELECT sha256, labels, paths FROM open_conflicts WHERE dataset = $1 ORDER BY sha256 LIMIT $2 OFFSET $3`,
        [dataset, limit + 1, offset],
      );
      return pageFrom(rows, limit, offset);
    },
    upload: (dataset, uploadId, position) =>
      db.row(
        storedFileRow,
        `SELECT f.name, f.object_key, f.size_bytes FROM upload_files f JOIN uploads u ON u.id = f.upload_id
         WHERE u.dataset = $1 AND u.id = $2 AND f.position = $3 AND f.is_refused`,
        [dataset, uploadId, position],
      ),
  };
}

/** The lists change with an ingestion only, so that a page is found by its number. */
function offsetOf(token: string | null | undefined): number {
  if (token === undefined || token === null) return 0;
  if (/^[1-9]\d{0,8}$/.test(token)) return Number(token);
  throw new PerennialError('bad_request', 'The page token is invalid for this list. Start again without it.');
}

function pageFrom<T>(rows: readonly T[], limit: number, offset: number): Page<T> {
  return { items: rows.slice(0, limit), nextPageToken: rows.length > limit ? String(offset + limit) : null };
}
