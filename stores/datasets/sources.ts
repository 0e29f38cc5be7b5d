import { z } from 'zod';
import { labelCounts } from '../../contracts/datasets/by-label.js';
import { PerennialError } from '../../contracts/errors.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';
import { sourceKinds, type SourceKind } from './datasets.js';

const sourceRow = z.object({
  id: integerColumn,
  kind: z.enum(sourceKinds),
  locator: z.string(),
  isDefault: z.boolean(),
  isAttached: z.boolean(),
  scannedAt: timestampColumn,
  detachedAt: timestampColumn.nullable(),
  replacedBy: integerColumn.nullable(),
  /** Since when the worker has found no folder at its place; null while it is there. */
  missingSince: timestampColumn.nullable(),
  images: integerColumn,
  labels: labelCounts(),
  quarantined: integerColumn,
});
/** A source with what its last scan found; a detached source has nothing. */
export type SourceDetail = z.output<typeof sourceRow>;

const conflictRow = z.object({
  sha256: z.string(),
  files: z.array(
    z.object({
      sourceId: integerColumn,
      kind: z.enum(sourceKinds),
      locator: z.string(),
      path: z.string(),
      /** The label now: by a correction, else by the source. */
      label: z.string(),
      missingSince: z.string().nullable(),
    }),
  ),
});
/** A conflict of a version with the files of attached sources that it is about. */
export type SourcedConflict = z.output<typeof conflictRow>;

/** The sources of datasets, attached and detached. */
export interface SourceStore {
  /** Newest first. Throws `not_found` for an unknown dataset. */
  list(dataset: string, query: { limit: number; pageToken?: string | null }): Promise<Page<SourceDetail>>;
  /** Throws `not_found`. */
  get(dataset: string, id: number): Promise<SourceDetail>;
  /** The attached source with this kind and place; null if there is none. */
  find(dataset: string, kind: string, locator: string): Promise<number | null>;
  /** Attached sources at a place of the user's, which may be gone. */
  places(dataset: string): Promise<{ id: number; kind: SourceKind; locator: string }[]>;
  /** Notes which of these sources are at their place. */
  notePresence(sources: readonly { id: number; isThere: boolean }[]): Promise<void>;
  /** The first thousand conflicts of a version. Without files: nothing holds the image any more, or it was taken out. */
  conflicts(dataset: string, version: number): Promise<SourcedConflict[]>;
}

export function createSourceStore(db: Database): SourceStore {
  return {
    async list(dataset, { limit, pageToken }) {
      const below = sequenceOfToken(pageToken);
      const rows = await readSources(db, 's.dataset = $1 AND ($2::bigint IS NULL OR s.id < $2)', [
        dataset,
        below,
        limit + 1,
      ]);
      if (rows.length === 0 && below === null) await requireDataset(db, dataset);
      return pageBy(rows, limit, ({ id }) => id);
    },
    async get(dataset, id) {
      const [found] = await readSources(db, 's.dataset = $1 AND s.id = $2', [dataset, id, 1]);
      if (found) return found;
      throw unknownSource(dataset, id);
    },
    async find(dataset, kind, locator) {
      const found = await db.row(
        z.object({ id: integerColumn }),
        `SELECT id FROM dataset_sources WHERE dataset = $1 AND kind = $2 AND locator = $3
           AND current_ingestion_id IS NOT NULL`,
        [dataset, kind, locator],
      );
      return found?.id ?? null;
    },
    places: (dataset) =>
      db.rows(
        z.object({ id: integerColumn, kind: z.enum(sourceKinds), locator: z.string() }),
        `SELECT id, kind, locator FROM dataset_sources
         WHERE dataset = $1 AND kind IN ('folder', 'archive', 'csv', 's3') AND current_ingestion_id IS NOT NULL ORDER BY id`,
        [dataset],
      ),
    async notePresence(sources) {
      await db.query(
        `UPDATE dataset_sources s SET missing_since = CASE WHEN seen.is_there THEN NULL ELSE coalesce(missing_since, now()) END
         FROM unnest($1::bigint[], $2::boolean[]) AS seen (id, is_there)
         WHERE s.id = seen.id AND seen.is_there = (missing_since IS NOT NULL)`,
        [sources.map(({ id }) => id), sources.map(({ isThere }) => isThere)],
      );
    },
    conflicts: (dataset, version) => db.rows(conflictRow, conflictsOfVersion, [dataset, version]),
  };
}

/** A conflict knows its files by locator and path. */
const conflictsOfVersion = `
  WITH shown AS (
    SELECT sha256, paths FROM dataset_conflicts WHERE dataset = $1 AND version = $2 ORDER BY sha256 LIMIT 1000)
  SELECT shown.sha256, coalesce(jsonb_agg(jsonb_build_object('sourceId', file.source_id, 'kind', file.kind,
      'locator', file.locator, 'path', file.path, 'label', file.label, 'missingSince', file.missing_since)
      ORDER BY file.source_id, file.path) FILTER (WHERE file.path IS NOT NULL), '[]') AS files
  FROM shown LEFT JOIN LATERAL jsonb_array_elements_text(shown.paths) AS place ON true LEFT JOIN (
    SELECT s.id AS source_id, s.kind, s.locator, s.missing_since, f.path, coalesce(c.label, f.label) AS label
    FROM dataset_sources s JOIN ingestion_files f ON f.ingestion_id = s.current_ingestion_id
      LEFT JOIN current_image_corrections c ON c.dataset = s.dataset AND c.sha256 = f.sha256
    WHERE s.dataset = $1 AND f.outcome = 'accepted' AND c.action IS DISTINCT FROM 'remove'
  ) file ON file.locator || '/' || file.path = place
  GROUP BY shown.sha256 ORDER BY shown.sha256`;

/** The last parameter is the limit. */
function readSources(db: Queryable, condition: string, parameters: readonly unknown[]): Promise<SourceDetail[]> {
  return db.rows(
    sourceRow,
    `SELECT s.*, s.current_ingestion_id IS NOT NULL AS is_attached, found.images, found.quarantined,
       (SELECT coalesce(jsonb_object_agg(label, images), '{}') FROM (
          SELECT label, count(DISTINCT sha256) AS images FROM ingestion_files f
          WHERE f.ingestion_id = s.current_ingestion_id AND f.outcome = 'accepted' GROUP BY label) labelled) AS labels
     FROM dataset_sources s CROSS JOIN LATERAL (
       SELECT count(DISTINCT f.sha256) FILTER (WHERE f.outcome = 'accepted') AS images,
         count(*) FILTER (WHERE f.outcome = 'quarantined') AS quarantined
       FROM ingestion_files f WHERE f.ingestion_id = s.current_ingestion_id) found
     WHERE ${condition} ORDER BY s.id DESC LIMIT $3`,
    parameters,
  );
}

export function unknownSource(dataset: string, id: number): PerennialError {
  return new PerennialError(
    'not_found',
    `Dataset ${dataset} has no source ${id}; GET /api/v1/datasets/${dataset}/sources lists them.`,
  );
}

async function requireDataset(db: Queryable, dataset: string): Promise<void> {
  const known = await db.query('SELECT FROM datasets WHERE name = $1', [dataset]);
  if (known.length > 0) return;
  throw new PerennialError('not_found', `There is no dataset ${dataset}. Ingest images to create it.`);
}
