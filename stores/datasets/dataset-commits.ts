import { z } from 'zod';
import {
  datasetStatisticsSchema,
  imageFactsSchema,
  pixelVersion,
  quarantineReasonSchema,
  splitSchema,
  type DatasetStatistics,
  type Example,
  type ImageFacts,
  type QuarantineReason,
  type Split,
} from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, jsonParameter } from '../postgres/columns.js';
import { claimObject } from '../objects/object-claims.js';
import type { Database, Queryable } from '../postgres/database.js';

/** Current content of the sources of a dataset, and the splits assigned before. */
export interface CommitState {
  members: (ImageFacts & {
    label: string;
    where: string;
    pixelSha256: string | null;
    perceptualHash: string | null;
  })[];
  sides: Map<string, Split>;
  quarantined: Partial<Record<QuarantineReason, number>>;
}

/** Content of a version. */
export interface CommitPlan {
  examples: readonly Example[];
  newExamples: readonly Example[];
  conflicts: readonly { sha256: string; labels: string[]; paths: string[] }[];
  digest: string;
  dvc: { md5: string };
  statistics: DatasetStatistics;
}

const committedSchema = z.object({
  version: z.number(),
  digest: z.string(),
  isNewVersion: z.boolean(),
  statistics: datasetStatisticsSchema,
});
export type Committed = z.output<typeof committedSchema>;

const ingestionRow = z.object({
  id: z.string(),
  dataset: z.string(),
  status: z.enum(['running', 'committed', 'abandoned']),
  result: committedSchema.nullable(),
});
type LockedIngestion = z.output<typeof ingestionRow>;

/** Commits dataset versions. */
export interface DatasetCommits {
  /**
   * In one transaction, serialised per dataset: replaces the members of the source by the files of the ingestion, calls
   * `plan` for the new content, and stores it as a version or returns the identical version. The files are ignored if a
   * later scan of the source is committed already. A repeated call returns the first result. Throws `conflict` for an
   * ingestion that was abandoned or has files without an outcome.
   */
  commit(ingestionId: string, plan: (state: CommitState) => CommitPlan): Promise<Committed>;
  /** The images of a version, with their manifest fields. */
  listImages(dataset: string, version: number): Promise<(ImageFacts & Example)[]>;
  /** Whether the version's manifests are in the object store. */
  isPublished(dataset: string, version: number): Promise<boolean>;
  markPublished(dataset: string, version: number): Promise<void>;
  /** Protects a listing from retention; call it before the upload. */
  claim(objectKey: string): Promise<void>;
}

export function createDatasetCommits(db: Database): DatasetCommits {
  return {
    commit: (ingestionId, plan) => db.transaction((tx) => commit(tx, ingestionId, plan)),
    listImages: (dataset, version) =>
      db.rows(
        imageFactsSchema.extend({ sizeBytes: integerColumn, label: z.string(), side: splitSchema }),
        `SELECT i.*, e.label, e.side FROM dataset_examples e JOIN images i USING (sha256)
         WHERE e.dataset = $1 AND e.version = $2 ORDER BY sha256`,
        [dataset, version],
      ),
    async isPublished(dataset, version) {
      const published = await db.query(
        'SELECT FROM dataset_versions WHERE dataset = $1 AND version = $2 AND published_at IS NOT NULL',
        [dataset, version],
      );
      return published.length > 0;
    },
    claim: (objectKey) => claimObject(db, objectKey),
    async markPublished(dataset, version) {
      await db.query('UPDATE dataset_versions SET published_at = now() WHERE dataset = $1 AND version = $2', [
        dataset,
        version,
      ]);
    },
  };
}

async function commit(
  tx: Queryable,
  ingestionId: string,
  plan: (state: CommitState) => CommitPlan,
): Promise<Committed> {
  const ingestion = await lockIngestion(tx, ingestionId);
  if (ingestion.result) return ingestion.result;
  const { dataset } = ingestion;
  const former = await tx.row(
    z.object({ version: z.number().nullable() }),
    'SELECT current_version AS version FROM datasets WHERE name = $1 FOR UPDATE',
    [dataset],
  );
  await adoptMembers(tx, ingestionId);
  const planned = plan(await readState(tx, dataset));
  await settleSides(tx, dataset, planned.newExamples);
  const known = await tx.row(
    z.object({ version: z.number() }),
    'SELECT version FROM dataset_versions WHERE dataset = $1 AND digest = $2 AND erased_at IS NULL',
    [dataset, planned.digest],
  );
  const version = known?.version ?? (await recordVersion(tx, ingestion, planned));
  const { digest, statistics } = planned;
  const committed: Committed = { version, digest, isNewVersion: known === null, statistics };
  await tx.query('UPDATE datasets SET current_version = $2 WHERE name = $1', [dataset, version]);
  await tx.query(`UPDATE ingestions SET status = 'committed', result = $2, ended_at = now() WHERE id = $1`, [
    ingestionId,
    jsonParameter(committed),
  ]);
  await forgetFormerMembers(tx, ingestion);
  if (former?.version !== version) await noteVersion(tx, ingestion, former?.version ?? null, committed);
  return committed;
}

async function noteVersion(
  tx: Queryable,
  { id, dataset }: LockedIngestion,
  former: number | null,
  { version, digest, isNewVersion }: Committed,
): Promise<void> {
  await writeAudit(tx, {
    by: { name: 'ingestDataset', via: 'workflow', from: id, requestId: null },
    action: 'dataset.commit',
    subject: `datasets/${dataset}/versions/${version}`,
    before: { currentVersion: former },
    after: { currentVersion: version, digest, isNewVersion },
  });
}

async function lockIngestion(tx: Queryable, id: string): Promise<LockedIngestion> {
  const ingestion = await tx.row(ingestionRow, 'SELECT * FROM ingestions WHERE id = $1 FOR UPDATE', [id]);
  if (!ingestion) throw new PerennialError('not_found', `There is no ingestion ${id}.`);
  if (ingestion.status === 'abandoned') {
    throw new PerennialError('conflict', `Ingestion ${id} was abandoned. Start a new one.`);
  }
  const pending = await tx.query(
    `SELECT FROM ingestion_files WHERE ingestion_id = $1 AND outcome = 'pending' LIMIT 1`,
    [id],
  );
  if (pending.length > 0) {
    throw new PerennialError('conflict', `Ingestion ${id} has files without an outcome. Start a new one.`);
  }
  return ingestion;
}

/**
 * `default` is one source at a time: photographs replace the synthetic set instead of joining it. Nothing is adopted
 * if a later scan of the source, or of the default, is committed already.
 */
async function adoptMembers(tx: Queryable, ingestionId: string): Promise<void> {
  const adopted = await tx.query(
    `INSERT INTO dataset_sources AS source (dataset, kind, locator, is_default, current_ingestion_id)
     SELECT dataset, kind, locator, is_default, id FROM ingestions i
     WHERE id = $1 AND NOT EXISTS (
       SELECT FROM dataset_sources s JOIN ingestions later ON later.id = s.current_ingestion_id
       WHERE later.dataset = i.dataset AND later.scan > i.scan
         AND ((later.kind, later.locator) = (i.kind, i.locator) OR (later.is_default AND i.is_default)))
     ON CONFLICT (dataset, kind, locator) DO UPDATE SET current_ingestion_id = excluded.current_ingestion_id,
       is_default = source.is_default OR excluded.is_default, scanned_at = now()
     RETURNING id`,
    [ingestionId],
  );
  if (adopted.length === 0) return;
  await tx.query(
    `UPDATE dataset_sources source SET is_default = false, current_ingestion_id = NULL
     FROM ingestions i
     WHERE i.id = $1 AND i.is_default AND source.dataset = i.dataset AND source.is_default
       AND source.current_ingestion_id IS DISTINCT FROM i.id`,
    [ingestionId],
  );
}

const filesOfDataset = `FROM dataset_sources source JOIN ingestion_files f ON f.ingestion_id = source.current_ingestion_id
  WHERE source.dataset = $1`;

const memberRow = imageFactsSchema.extend({
  sizeBytes: integerColumn,
  label: z.string(),
  where: z.string(),
  pixelSha256: z.string().nullable(),
  perceptualHash: z.string().nullable(),
});

async function readState(tx: Queryable, dataset: string): Promise<CommitState> {
  const members = await tx.rows(
    memberRow,
    `SELECT i.sha256, i.md5, i.size_bytes, i.format, i.width, i.height, member.label, member.where,
       CASE WHEN i.pixel_version = $2 THEN i.pixel_sha256 END AS pixel_sha256,
       CASE WHEN i.pixel_version = $2 THEN i.perceptual_hash END AS perceptual_hash
     FROM images i JOIN (
       SELECT f.sha256, f.label, source.locator || '/' || f.path AS "where" ${filesOfDataset} AND f.outcome = 'accepted'
     ) member USING (sha256) WHERE i.erased_at IS NULL ORDER BY sha256, "where"`,
    [dataset, pixelVersion],
  );
  const sides = await tx.rows(
    z.object({ sha256: z.string(), pixelSha256: z.string().nullable(), side: splitSchema }),
    `SELECT sha256, CASE WHEN pixel_version = $2 THEN pixel_sha256 END AS pixel_sha256, side
     FROM image_sides JOIN images USING (sha256) WHERE dataset = $1 ORDER BY sha256`,
    [dataset, pixelVersion],
  );
  const quarantined = await tx.rows(
    z.object({ reason: quarantineReasonSchema, files: integerColumn }),
    `SELECT f.reason, count(*) AS files ${filesOfDataset} AND f.outcome = 'quarantined' GROUP BY f.reason`,
    [dataset],
  );
  return {
    members,
    sides: new Map([
      ...sides.flatMap(({ pixelSha256, side }) => (pixelSha256 === null ? [] : [[pixelSha256, side] as const])),
      ...sides.map(({ sha256, side }) => [sha256, side] as const),
    ]),
    quarantined: Object.fromEntries(quarantined.map(({ reason, files }) => [reason, files])),
  };
}

async function settleSides(tx: Queryable, dataset: string, examples: readonly Example[]): Promise<void> {
  await tx.query(
    `INSERT INTO image_sides (dataset, sha256, side)
     SELECT $1, sha256, side FROM unnest($2::text[], $3::text[]) AS settled (sha256, side)`,
    [dataset, examples.map(({ sha256 }) => sha256), examples.map(({ side }) => side)],
  );
}

async function recordVersion(tx: Queryable, { id, dataset }: LockedIngestion, plan: CommitPlan): Promise<number> {
  const recorded = await tx.row(
    z.object({ version: z.number() }),
    `WITH counted AS (
       UPDATE datasets SET latest_version = latest_version + 1 WHERE name = $1 RETURNING latest_version)
     INSERT INTO dataset_versions (dataset, version, digest, dvc_md5, statistics, sources, ingestion_id)
     SELECT $1, latest_version, $2, $3, $4,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'locator', locator) ORDER BY id), '[]')
        FROM dataset_sources WHERE dataset = $1 AND current_ingestion_id IS NOT NULL), $5
     FROM counted RETURNING version`,
    [dataset, plan.digest, plan.dvc.md5, jsonParameter(plan.statistics), id],
  );
  if (!recorded) throw new PerennialError('internal', `A version of ${dataset} could not be recorded.`);
  const { version } = recorded;
  await tx.query(
    `INSERT INTO dataset_examples (dataset, version, sha256, label, side)
     SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[])`,
    [
      dataset,
      version,
      plan.examples.map(({ sha256 }) => sha256),
      plan.examples.map(({ label }) => label),
      plan.examples.map(({ side }) => side),
    ],
  );
  await tx.query(
    `INSERT INTO dataset_conflicts (dataset, version, sha256, labels, paths)
     SELECT $1, $2, sha256, labels, paths
     FROM jsonb_to_recordset($3::jsonb) AS conflict (sha256 text, labels jsonb, paths jsonb)`,
    [dataset, version, JSON.stringify(plan.conflicts)],
  );
  await tx.query(
    `INSERT INTO dataset_quarantine (dataset, version, source, path, reason, detail)
     SELECT $1, $2, source.locator, f.path, f.reason, f.detail ${filesOfDataset} AND f.outcome = 'quarantined'`,
    [dataset, version],
  );
  return version;
}

/** Deletes file rows of replaced ingestions. This ingestion's stay, so that a repeated commit can count them. */
async function forgetFormerMembers(tx: Queryable, { id, dataset }: LockedIngestion): Promise<void> {
  await tx.query(
    `DELETE FROM ingestion_files WHERE ingestion_id IN (
       SELECT i.id FROM ingestions i WHERE i.dataset = $1 AND i.id <> $2 AND i.status = 'committed'
         AND NOT EXISTS (SELECT FROM dataset_sources s WHERE s.current_ingestion_id = i.id))`,
    [dataset, id],
  );
}
