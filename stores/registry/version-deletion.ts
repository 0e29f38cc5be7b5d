import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { writeAudit } from '../audit/audit.js';
import { timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { lockModel } from '../promotion/production.js';
import { holdVersion, recordStage } from './edits.js';
import { requireModel, subjectOf } from './rows.js';

/** What refers to a version; of an alias its name, of an approval the run that waits for it. */
const holderSchema = z.object({ kind: z.enum(['serving', 'alias', 'approval', 'predictions']), name: z.string() });
type Holder = z.output<typeof holderSchema>;

/** Inputs of the retention rule for a version. */
const factsRow = z.object({
  version: z.number(),
  /** References to it, each as a clause: "it is in Production". */
  references: z.array(z.string()),
  holders: z.array(holderSchema),
  /** When it was last in Production; null if never. */
  lastServedAt: z.date().nullable(),
});
export type VersionFacts = z.output<typeof factsRow>;

const tombstoneRow = z.object({
  modelName: z.string(),
  version: z.number(),
  deletedAt: timestampColumn,
  deletedBy: z.string(),
  /** Prefix of unreferenced objects; null if they are deleted or shared with another version. */
  bundleKey: z.string().nullable(),
});
export type Tombstone = z.output<typeof tombstoneRow>;

/** Deletion of versions: references and tombstones. */
export interface VersionRetention {
  /** The facts of every undeleted version with a file, newest first. Throws `not_found`. */
  retentionFacts(modelName: string): Promise<VersionFacts[]>;
  /**
   * Makes a version a tombstone; its number is not reused. A repeated call returns the same tombstone while the bundle
   * exists. Throws `referenced`, `not_found`, and `precondition_failed` for another revision.
   */
  markDeleted(modelName: string, version: number, context: DeletionContext): Promise<Tombstone>;
  /** Tombstones whose bundles have not been removed yet. */
  unfinishedDeletions(): Promise<Tombstone[]>;
  /** Marks the bundle of a tombstone as removed. */
  bundleRemoved(modelName: string, version: number): Promise<void>;
}

export interface DeletionContext {
  by: Actor;
  reason: string;
  ifRevision: readonly number[] | null;
}

export function createVersionRetention(db: Database): VersionRetention {
  return {
    async retentionFacts(modelName) {
      await requireModel(db, modelName);
      return readFacts(db, modelName, null);
    },
    markDeleted: (modelName, version, context) => db.transaction((tx) => markDeleted(tx, modelName, version, context)),
    unfinishedDeletions: () => db.rows(tombstoneRow, `${tombstones} AND bundle_removed_at IS NULL ORDER BY deleted_at`),
    async bundleRemoved(modelName, version) {
      await db.query(
        `UPDATE model_versions SET bundle_removed_at = now()
         WHERE model_name = $1 AND version = $2 AND deleted_at IS NOT NULL AND bundle_removed_at IS NULL`,
        [modelName, version],
      );
    },
  };
}

const tombstones = `SELECT model_name, version, deleted_at, deleted_by,
    CASE WHEN bundle_removed_at IS NULL AND NOT EXISTS (SELECT FROM model_versions other
      WHERE other.bundle_key = v.bundle_key AND other.deleted_at IS NULL) THEN bundle_key END AS bundle_key
  FROM model_versions v WHERE deleted_at IS NOT NULL`;

async function markDeleted(
  tx: Queryable,
  modelName: string,
  version: number,
  { by, reason, ifRevision }: DeletionContext,
): Promise<Tombstone> {
  await lockModel(tx, modelName);
  const begun = await tx.row(
    tombstoneRow,
    `${tombstones} AND model_name = $1 AND version = $2 AND bundle_removed_at IS NULL`,
    [modelName, version],
  );
  if (begun) return begun;
  const current = await holdVersion(tx, modelName, version, ifRevision);
  const [facts] = await readFacts(tx, modelName, version);
  if (facts && facts.references.length > 0) throw isReferenced(current, facts);
  await tx.query(
    `UPDATE model_versions SET deleted_at = now(), deleted_by = $3, stage = 'Archived'
     WHERE model_name = $1 AND version = $2`,
    [modelName, version, by.name],
  );
  if (current.stage !== 'Archived') await recordStage(tx, current, 'Archived', { by, reason });
  const { stage, semanticVersion, runId, bundleSha256 } = current;
  await writeAudit(tx, {
    by,
    action: 'version.delete',
    subject: subjectOf(modelName, version),
    before: { stage, semantic_version: semanticVersion, run_id: runId, bundle_sha256: bundleSha256 },
    after: { reason },
  });
  const deleted = await tx.row(tombstoneRow, `${tombstones} AND model_name = $1 AND version = $2`, [
    modelName,
    version,
  ]);
  if (deleted) return deleted;
  throw new PerennialError('internal', `Version ${version} of ${modelName} could not be deleted.`);
}

function isReferenced(
  { modelName, version }: Pick<ModelVersion, 'modelName' | 'version'>,
  { references, holders }: VersionFacts,
): PerennialError {
  const ways = [...new Set(holders.map((holder) => wayToRelease(holder, modelName)))];
  return new PerennialError(
    'referenced',
    `Version ${version} of ${modelName} cannot be deleted: ${references.join('; ')}. ${ways.join(' ')}`,
  );
}

/** What to do so that this no longer refers to a version, as a sentence. */
function wayToRelease({ kind, name }: Holder, modelName: string): string {
  const models = '/api/v1/mlops/models';
  switch (kind) {
    case 'serving':
      return `Promote another version (POST ${models}/promote), or retire the model (POST ${models}/${modelName}/retire).`;
    case 'alias':
      return `Delete the alias: DELETE ${models}/${modelName}/aliases/${name}.`;
    case 'approval':
      return `Answer the approval: POST /api/v1/pipelines/${name}/reject.`;
    case 'predictions':
      return 'Erase the model with its predictions and feedback: POST /api/v1/erasures.';
  }
}

/**
 * The facts of one version, or of all. Stored predictions and feedback refer to their version, and a rollback needs the
 * version before Production.
 */
function readFacts(db: Queryable, modelName: string, version: number | null): Promise<VersionFacts[]> {
  return db.rows(
    factsRow,
    `WITH fallback AS (
       SELECT DISTINCT ON (p.version) p.former_version AS version, p.version AS of_version
       FROM promotions p JOIN model_versions m ON m.model_name = p.model_name AND m.version = p.version
       WHERE p.model_name = $1 AND p.kind = 'promotion' AND m.stage = 'Production'
       ORDER BY p.version, p.id DESC
     ), served AS (
       SELECT CASE kind WHEN 'promotion' THEN version ELSE former_version END AS version,
         coalesce(lead(created_at) OVER (ORDER BY id), now()) AS until
       FROM promotions WHERE model_name = $1
     )
     SELECT v.version, held.references, held.holders,
       (SELECT max(until) FROM served s WHERE s.version = v.version) AS last_served_at
     FROM model_versions v CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(DISTINCT clause), '{}') AS references,
         coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'name', name)), '[]') AS holders
       FROM (
         SELECT 'serving' AS kind, '' AS name, 'it is in Production' AS clause WHERE v.stage = 'Production'
         UNION ALL
         SELECT 'serving', '', format('a rollback of version %s in Production would restore it', of_version)
         FROM fallback WHERE fallback.version = v.version
         UNION ALL
         SELECT 'alias', alias, format('the alias %s points at it', alias) FROM model_aliases a
         WHERE a.model_name = v.model_name AND a.version = v.version
         UNION ALL
         SELECT 'approval', pipeline_run_id, 'its promotion waits for approval' FROM approvals a
         WHERE a.model_name = v.model_name AND a.version = v.version AND a.outcome = 'waiting'
         UNION ALL
         SELECT 'predictions', '', 'stored predictions were made by it' WHERE EXISTS (
           SELECT FROM predictions p WHERE p.model_name = v.model_name AND p.version = v.version)
         UNION ALL
         SELECT 'predictions', '', 'stored feedback refers to it' WHERE EXISTS (
           SELECT FROM feedback f WHERE f.model_name = v.model_name AND f.version = v.version)
       ) holder
     ) held
     WHERE v.model_name = $1 AND v.deleted_at IS NULL AND (v.version = $2 OR $2::integer IS NULL AND v.origin <> 'reported')
     ORDER BY v.version DESC`,
    [modelName, version],
  );
}
