import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { RegisteredVersion, Stage } from '../../contracts/registry/registry.js';
import { writeAudit } from '../audit/audit.js';
import { changedTags, type TagChanges } from '../experiments/changed-tags.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { lockModel, setStage } from '../promotion/production.js';
import { holdSemanticVersion } from './semantic-versions.js';
import { readVersion, subjectOf, withFile } from './rows.js';

/** Editable fields of a version. Omitted fields stay; null removes a tag. */
export interface VersionChange {
  description?: string | undefined;
  tags?: TagChanges | undefined;
  semanticVersion?: string | undefined;
}

export interface StageChange {
  stage: Exclude<Stage, 'Production'>;
  reason: string;
}

/** Who changes a version, and the revisions that the change expects (If-Match); null for any. */
export interface EditContext {
  by: Actor;
  ifRevision: readonly number[] | null;
}

/** Edits of versions. */
export interface VersionEdits {
  /** Throws `not_found`, `precondition_failed` for another revision, `conflict` for a used semantic version. */
  edit(modelName: string, version: number, change: VersionChange, context: EditContext): Promise<RegisteredVersion>;
  /**
   * Moves a version between None, Staging and Archived. Throws as `edit`, `conflict` for Production, and
   * `version_without_file` for Staging without a file.
   */
  setStage(modelName: string, version: number, change: StageChange, context: EditContext): Promise<RegisteredVersion>;
}

export function createVersionEdits(db: Database): VersionEdits {
  return {
    edit: (modelName, version, change, context) =>
      db.transaction(async (tx) => {
        const current = await holdVersion(tx, modelName, version, context.ifRevision);
        return edit(tx, current, change, context.by);
      }),
    setStage: (modelName, version, change, context) =>
      db.transaction(async (tx) => {
        const current = await holdVersion(tx, modelName, version, context.ifRevision);
        return move(tx, current, change, context.by);
      }),
  };
}

/** Locks the version for the rest of the transaction. Throws `not_found` or `precondition_failed`. */
export async function holdVersion(
  tx: Queryable,
  modelName: string,
  version: number,
  ifRevision: readonly number[] | null,
): Promise<RegisteredVersion> {
  await lockModel(tx, modelName);
  const current = await readVersion(tx, modelName, version);
  if (ifRevision === null || ifRevision.includes(current.revision)) return current;
  throw new PerennialError(
    'precondition_failed',
    `Version ${version} of ${modelName} was changed after you read it. Read it again, then repeat your change with its new ETag.`,
  );
}

async function edit(
  tx: Queryable,
  current: RegisteredVersion,
  change: VersionChange,
  by: Actor,
): Promise<RegisteredVersion> {
  const { modelName, version } = current;
  const { description = current.description, semanticVersion = current.semanticVersion } = change;
  const tags = changedTags(current.tags, change.tags ?? {});
  await holdSemanticVersion(tx, modelName, semanticVersion, version);
  await tx.query(
    `UPDATE model_versions SET description = $3, tags = $4, semantic_version = $5
     WHERE model_name = $1 AND version = $2`,
    [modelName, version, description, jsonParameter(tags), semanticVersion],
  );
  const edited = await readVersion(tx, modelName, version);
  if (edited.revision === current.revision) return current;
  const before = { description: current.description, tags: current.tags, semantic_version: current.semanticVersion };
  const after = { description, tags, semantic_version: semanticVersion };
  await writeAudit(tx, { by, action: 'version.edit', subject: subjectOf(modelName, version), before, after });
  return edited;
}

async function move(
  tx: Queryable,
  current: RegisteredVersion,
  { stage, reason }: StageChange,
  by: Actor,
): Promise<RegisteredVersion> {
  const { modelName, version, stage: former } = current;
  if (former === 'Production') throw isServed(current);
  if (former === stage) return current;
  await requireBundle(tx, current);
  if (stage === 'Staging') withFile(current);
  await setStage(tx, modelName, version, stage);
  await recordStage(tx, current, stage, { by, reason });
  const subject = subjectOf(modelName, version);
  await writeAudit(tx, { by, action: 'version.stage', subject, before: { stage: former }, after: { stage, reason } });
  return readVersion(tx, modelName, version);
}

/** Adds a row to the stage history. */
export async function recordStage(
  tx: Queryable,
  { modelName, version, stage: former }: RegisteredVersion,
  stage: Stage,
  { by, reason }: { by: Actor; reason: string },
): Promise<void> {
  await tx.query(
    `INSERT INTO stage_changes (model_name, version, former_stage, stage, actor, reason)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [modelName, version, former, stage, by.name, reason],
  );
}

function isServed({ modelName, version }: RegisteredVersion): PerennialError {
  return new PerennialError(
    'conflict',
    `Version ${version} of ${modelName} is in Production and cannot leave it by a change of stage. Promote another version (POST /api/v1/mlops/models/promote), roll back (POST /api/v1/mlops/models/${modelName}/rollback), or retire the model (POST /api/v1/mlops/models/${modelName}/retire), after which nothing is served: each archives this one.`,
  );
}

/** A version whose bundle was erased cannot be served, so it cannot change its stage. */
async function requireBundle(tx: Queryable, { modelName, version }: RegisteredVersion): Promise<void> {
  const erased = await tx.row(
    z.object({ erasedAt: z.date() }),
    'SELECT erased_at FROM model_versions WHERE model_name = $1 AND version = $2 AND erased_at IS NOT NULL',
    [modelName, version],
  );
  if (!erased) return;
  throw new PerennialError(
    'conflict',
    `Version ${version} of ${modelName} was erased at ${erased.erasedAt.toISOString()} and cannot be used again. Train a new one: POST /api/v1/pipelines/retraining.`,
  );
}
