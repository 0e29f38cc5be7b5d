import { z } from 'zod';
import { labelCounts } from '../../contracts/datasets/by-label.js';
import {
  datasetStatisticsSchema,
  exampleSchema,
  imageFactsSchema,
  quarantineReasonSchema,
  type Example,
  type ImageFacts,
  type Source,
} from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { bucketOfLocator } from '../../platform/source-buckets.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { checkNameToken, type Page } from '../postgres/page.js';

export const sourceKinds = ['folder', 'public', 'synthetic', 'upload', 'labels', 'archive', 'csv', 's3'] as const;
export type SourceKind = (typeof sourceKinds)[number];

const sourceRow = z.object({
  id: integerColumn,
  kind: z.enum(sourceKinds),
  /** The folder or file, `s3://bucket/prefix/`, the upload id, or the model whose predictions were labelled. */
  locator: z.string(),
  scannedAt: timestampColumn,
});
export type DatasetSource = z.output<typeof sourceRow>;

const versionRow = z.object({
  dataset: z.string(),
  version: z.number(),
  digest: z.string(),
  dvcMd5: z.string(),
  statistics: datasetStatisticsSchema,
  sources: z.array(z.object({ kind: z.enum(sourceKinds), locator: z.string() })),
  createdAt: timestampColumn,
});
export type DatasetVersion = z.output<typeof versionRow>;

const summaryRow = z.object({
  name: z.string(),
  createdAt: timestampColumn,
  currentVersion: z.number().nullable(),
  versions: integerColumn,
  images: integerColumn,
  classes: labelCounts(),
});
export type DatasetSummary = z.output<typeof summaryRow>;

const quarantineRow = z.object({
  source: z.string(),
  path: z.string(),
  reason: quarantineReasonSchema,
  detail: z.string().nullable(),
});
const conflictRow = z.object({ sha256: z.string(), labels: z.array(z.string()), paths: z.array(z.string()) });

export interface DatasetVersionDetail extends DatasetVersion {
  /** The first thousand quarantined files. */
  quarantined: z.output<typeof quarantineRow>[];
  /** The first thousand images that are excluded because they appear under two labels. */
  conflicts: z.output<typeof conflictRow>[];
}

export interface DatasetDetail extends DatasetSummary {
  sources: DatasetSource[];
  /** Newest first. */
  history: Pick<DatasetVersion, 'version' | 'digest' | 'createdAt'>[];
}

/** Read access to datasets and their immutable versions. */
export interface DatasetStore {
  /** Datasets with a version or a running first ingestion, by name. */
  list(query: { limit: number; pageToken?: string | null }): Promise<Page<DatasetSummary>>;
  detail(name: string): Promise<DatasetDetail | null>;
  /** Throws `not_found`. */
  version(name: string, version: number): Promise<DatasetVersion>;
  /** Throws `not_found`. */
  versionDetail(name: string, version: number): Promise<DatasetVersionDetail>;
  /** Content of the sources at the last ingestion; null for a dataset without a version. */
  latestVersion(name: string): Promise<DatasetVersion | null>;
  /**
   * Every image of a version that is not erased, with its label and split, ordered by digest. Throws `not_found` for a
   * version that does not exist or was erased.
   */
  examples(name: string, version: number): Promise<Example[]>;
  /** Facts of the known images among these, ordered by digest. */
  imageFacts(sha256s: readonly string[]): Promise<ImageFacts[]>;
  /** Sources that can be scanned again: folders and built-in sets, not uploads. */
  rescanTargets(name: string): Promise<Source[]>;
  /** Attached or new label sources with labels newer than their last ingestion, of models trained on the dataset. */
  newLabels(name: string): Promise<Source[]>;
}

const shownFindings = 1_000;
const summaryColumns = `d.name, d.created_at, d.current_version,
  (SELECT count(*) FROM dataset_versions v WHERE v.dataset = d.name AND v.erased_at IS NULL) AS versions,
  coalesce((c.statistics ->> 'images')::bigint, 0) AS images, coalesce(c.statistics -> 'classes', '{}') AS classes`;
const summaryTables = `datasets d LEFT JOIN dataset_versions c ON c.dataset = d.name AND c.version = d.current_version`;
// Datasets whose every ingestion failed are not listed.
const isKnown = `(d.current_version IS NOT NULL
  OR EXISTS (SELECT FROM ingestions i WHERE i.dataset = d.name AND i.status = 'running'))`;

export function createDatasetStore(db: Database): DatasetStore {
  return {
    async list({ limit, pageToken }) {
      checkNameToken(pageToken);
      const rows = await db.rows(
        summaryRow,
        `SELECT ${summaryColumns} FROM ${summaryTables} WHERE ($1::text IS NULL OR d.name > $1) AND ${isKnown} ORDER BY d.name LIMIT $2`,
        [pageToken ?? null, limit + 1],
      );
      const items = rows.slice(0, limit);
      return { items, nextPageToken: rows.length > limit ? (items.at(-1)?.name ?? null) : null };
    },
    detail: (name) => readDetail(db, name),
    version: (name, version) => readVersion(db, name, version),
    versionDetail: (name, version) => readVersionDetail(db, name, version),
    latestVersion: (name) =>
      db.row(
        versionRow,
        `SELECT v.* FROM dataset_versions v JOIN datasets d ON d.name = v.dataset AND d.current_version = v.version
         WHERE d.name = $1`,
        [name],
      ),
    async examples(name, version) {
      const examples = await db.rows(
        exampleSchema,
        `SELECT e.sha256, e.label, e.side FROM dataset_examples e JOIN images i USING (sha256)
         WHERE e.dataset = $1 AND e.version = $2 AND i.erased_at IS NULL ORDER BY e.sha256`,
        [name, version],
      );
      // Afterwards, so that an erasure between both statements is noticed.
      await readVersion(db, name, version);
      return examples;
    },
    imageFacts: (sha256s) =>
      db.rows(
        imageFactsSchema.extend({ sizeBytes: integerColumn }),
        'SELECT * FROM images WHERE sha256 = ANY($1) ORDER BY sha256',
        [sha256s],
      ),
    async rescanTargets(name) {
      const sources = await readSources(db, name);
      return sources.flatMap(rescanTarget);
    },
    newLabels: (name) => readNewLabels(db, name),
  };
}

function readSources(db: Queryable, name: string): Promise<DatasetSource[]> {
  return db.rows(
    sourceRow,
    `SELECT id, kind, locator, scanned_at FROM dataset_sources
     WHERE dataset = $1 AND current_ingestion_id IS NOT NULL ORDER BY id`,
    [name],
  );
}

/** A source as it is scanned again; nothing for one that is not, such as an upload. */
export function rescanTarget({ kind, locator }: DatasetSource): Source[] {
  switch (kind) {
    case 'folder':
    case 'archive':
    case 'csv':
      return [{ kind, path: locator }];
    case 's3':
      return [{ kind, ...bucketOfLocator(locator) }];
    case 'public':
    case 'synthetic':
      return [{ kind }];
    // The label source is ingested automatically when there are new labels.
    case 'labels':
    case 'upload':
      return [];
  }
}

async function readNewLabels(db: Queryable, name: string): Promise<Source[]> {
  const models = await db.rows(
    z.object({ modelName: z.string() }),
    `SELECT model_name FROM label_decisions d WHERE model_name IN (
       SELECT model_name FROM model_versions WHERE dataset = $1
       UNION SELECT locator FROM dataset_sources WHERE dataset = $1 AND kind = 'labels')
     GROUP BY model_name HAVING bool_or(decision = 'label') AND NOT EXISTS (
       SELECT FROM dataset_sources s LEFT JOIN ingestions i ON i.id = s.current_ingestion_id
       WHERE s.dataset = $1 AND s.kind = 'labels' AND s.locator = d.model_name
         AND (i.started_at > max(d.created_at) OR s.detached_at IS NOT NULL))
     ORDER BY model_name`,
    [name],
  );
  return models.map(({ modelName }) => ({ kind: 'labels', model: modelName }));
}

async function readDetail(db: Queryable, name: string): Promise<DatasetDetail | null> {
  const summary = await db.row(
    summaryRow,
    `SELECT ${summaryColumns} FROM ${summaryTables} WHERE d.name = $1 AND ${isKnown}`,
    [name],
  );
  if (!summary) return null;
  const history = await db.rows(
    versionRow.pick({ version: true, digest: true, createdAt: true }),
    `SELECT version, digest, created_at FROM dataset_versions WHERE dataset = $1 AND erased_at IS NULL
     ORDER BY version DESC`,
    [name],
  );
  return { ...summary, history, sources: await readSources(db, name) };
}

async function readVersion(db: Queryable, name: string, version: number): Promise<DatasetVersion> {
  const found = await db.row(
    versionRow.extend({ erasedAt: timestampColumn.nullable() }),
    'SELECT * FROM dataset_versions WHERE dataset = $1 AND version = $2',
    [name, version],
  );
  if (found?.erasedAt === null) return found;
  const why = found ? `was erased on request at ${found.erasedAt}` : 'does not exist';
  throw new PerennialError('not_found', `Version ${version} of dataset ${name} ${why}.`);
}

async function readVersionDetail(db: Queryable, name: string, version: number): Promise<DatasetVersionDetail> {
  const found = await readVersion(db, name, version);
  const parameters = [name, version, shownFindings];
  const quarantined = await db.rows(
    quarantineRow,
    `SELECT source, path, reason, detail FROM dataset_quarantine WHERE dataset = $1 AND version = $2
     ORDER BY source, path LIMIT $3`,
    parameters,
  );
  const conflicts = await db.rows(
    conflictRow,
    `SELECT sha256, labels, paths FROM dataset_conflicts WHERE dataset = $1 AND version = $2 ORDER BY sha256 LIMIT $3`,
    parameters,
  );
  return { ...found, quarantined, conflicts };
}
