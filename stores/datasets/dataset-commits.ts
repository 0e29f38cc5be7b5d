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
  type Skipped,
  type Split,
} from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { conflictingSchema, noConflicts, readConflicting, readFindings, replaceConflicts } from './commit-findings.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, jsonParameter } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { adoptMembers } from './adopt-members.js';

/** Current content of the sources of a dataset, and the splits assigned before. */
export interface CommitState {
  members: (ImageFacts & {
    label: string;
    splits: Split[] | null;
    where: string;
    pixelSha256: string | null;
    perceptualHash: string | null;
  })[];
  sides: Map<string, Split>;
  quarantined: Partial<Record<QuarantineReason, number>>;
  skipped: Skipped;
  warnings: string[];
}

/** Content of a version. */
export interface CommitPlan {
  examples: readonly Example[];
  newExamples: readonly Example[];
  conflicts: readonly { sha256: string; sha256s: string[]; labels: string[]; paths: string[] }[];
  digest: string;
  dvc: { md5: string };
  statistics: DatasetStatistics;
}

const committedSchema = z.object({
  version: z.number(),
  digest: z.string(),
  isNewVersion: z.boolean(),
  statistics: datasetStatisticsSchema,
  conflicting: conflictingSchema.default(noConflicts),
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
}

export function createDatasetCommits(db: Database): DatasetCommits {
  return { commit: (ingestionId, plan) => db.transaction((tx) => commit(tx, ingestionId, plan)) };
}

async function commit(
  tx: Queryable,
  ingestionId: string,
  plan: (state: CommitState) => CommitPlan,
): Promise<Committed> {
  const ingestion = await lockIngestion(tx, ingestionId);
  if (ingestion.result) return ingestion.result;
  const { dataset } = ingestion;
  const former = await holdDataset(tx, dataset);
  await adoptMembers(tx, ingestionId);
  const committed = await makeVersion(tx, { dataset, ingestionId }, plan);
  await tx.query(`UPDATE ingestions SET status = 'committed', result = $2, ended_at = now() WHERE id = $1`, [
    ingestionId,
    jsonParameter(committed),
  ]);
  await forgetFormerMembers(tx, ingestion);
  if (former !== committed.version) await noteVersion(tx, ingestion, former, committed);
  return committed;
}

/** Locks a dataset against other new versions until the transaction ends. Returns its current version, or null. */
export async function holdDataset(tx: Queryable, dataset: string): Promise<number | null> {
  const held = await tx.row(
    z.object({ version: z.number().nullable() }),
    'SELECT current_version AS version FROM datasets WHERE name = $1 FOR UPDATE',
    [dataset],
  );
  return held?.version ?? null;
}

/** Makes what the sources and corrections of a held dataset say now its current version: a new or an identical one. */
export async function makeVersion(
  tx: Queryable,
  { dataset, ingestionId }: { dataset: string; ingestionId: string | null },
  plan: (state: CommitState) => CommitPlan,
): Promise<Committed> {
  const planned = plan(await readState(tx, dataset));
  await settleSides(tx, dataset, planned.newExamples);
  const known = await tx.row(
    z.object({ version: z.number() }),
    'SELECT version FROM dataset_versions WHERE dataset = $1 AND digest = $2 AND erased_at IS NULL',
    [dataset, planned.digest],
  );
  const version = known?.version ?? (await recordVersion(tx, { id: ingestionId, dataset }, planned));
  await recordReport(tx, dataset, version, planned);
  await replaceConflicts(tx, dataset, planned);
  await tx.query('UPDATE datasets SET current_version = $2 WHERE name = $1', [dataset, version]);
  const { digest, statistics } = planned;
  const conflicting = await readConflicting(tx, ingestionId, planned);
  return { version, digest, isNewVersion: known === null, statistics, conflicting };
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

const filesOfDataset = `FROM dataset_sources source JOIN ingestion_files f ON f.ingestion_id = source.current_ingestion_id
  WHERE source.dataset = $1`;

const memberRow = imageFactsSchema.extend({
  sizeBytes: integerColumn,
  label: z.string(),
  splits: z.array(splitSchema).nullable(),
  where: z.string(),
  pixelSha256: z.string().nullable(),
  perceptualHash: z.string().nullable(),
});

async function readState(tx: Queryable, dataset: string): Promise<CommitState> {
  const members = await tx.rows(
    memberRow,
    `SELECT i.sha256, i.md5, i.size_bytes, i.format, i.width, i.height,
       coalesce(correction.label, member.label) AS label, member.splits, member.where,
       CASE WHEN i.pixel_version = $2 THEN i.pixel_sha256 END AS pixel_sha256,
       CASE WHEN i.pixel_version = $2 THEN i.perceptual_hash END AS perceptual_hash
     FROM images i JOIN (
       SELECT f.sha256, f.label, f.splits, source.locator || '/' || f.path AS "where" ${filesOfDataset} AND f.outcome = 'accepted'
     ) member USING (sha256)
     LEFT JOIN current_image_corrections correction ON correction.dataset = $1 AND correction.sha256 = i.sha256
     WHERE i.erased_at IS NULL AND correction.action IS DISTINCT FROM 'remove' ORDER BY i.sha256, "where"`,
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
    ...(await readFindings(tx, dataset)),
  };
}

/** The same images can come with other refused files and conflicts, which are in no version: those of the last time count. */
async function recordReport(
  tx: Queryable,
  dataset: string,
  version: number,
  { conflicts, statistics }: CommitPlan,
): Promise<void> {
  await tx.query(`UPDATE dataset_versions SET statistics = $3 WHERE dataset = $1 AND version = $2`, [
    dataset,
    version,
    jsonParameter(statistics),
  ]);
  await tx.query('DELETE FROM dataset_conflicts WHERE dataset = $1 AND version = $2', [dataset, version]);
  await tx.query(
    `INSERT INTO dataset_conflicts (dataset, version, sha256, labels, paths)
     SELECT $1, $2, sha256, labels, paths
     FROM jsonb_to_recordset($3::jsonb) AS conflict (sha256 text, labels jsonb, paths jsonb)`,
    [dataset, version, JSON.stringify(conflicts)],
  );
  await tx.query('DELETE FROM dataset_quarantine WHERE dataset = $1 AND version = $2', [dataset, version]);
  await tx.query(
    `INSERT INTO dataset_quarantine (dataset, version, source, path, reason, detail)
     SELECT $1, $2, source.locator, f.path, f.reason, f.detail ${filesOfDataset} AND f.outcome = 'quarantined'`,
    [dataset, version],
  );
}

async function settleSides(tx: Queryable, dataset: string, examples: readonly Example[]): Promise<void> {
  await tx.query(
    `INSERT INTO image_sides (dataset, sha256, side)
     SELECT $1, sha256, side FROM unnest($2::text[], $3::text[]) AS settled (sha256, side)`,
    [dataset, examples.map(({ sha256 }) => sha256), examples.map(({ side }) => side)],
  );
}

async function recordVersion(
  tx: Queryable,
  { id, dataset }: { id: string | null; dataset: string },
  plan: CommitPlan,
): Promise<number> {
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
