import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import {
  modelVersionSchema,
  reportedVersionSchema,
  type ModelVersion,
  type RegisteredVersion,
} from '../../contracts/registry/registry.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';
import { requireUndeleted, tombstoneRow, unknownModel, unknownVersion, withoutFile } from '../promotion/production.js';

const times = {
  verifiedAt: timestampColumn.nullable(),
  lastValidatedAt: timestampColumn.nullable(),
  createdAt: timestampColumn,
};

/** A version with a file. */
export const versionRow = modelVersionSchema.extend({ ...times, sizeBytes: integerColumn });
/** A version with or without a file. */
export const registeredRow = z.discriminatedUnion('origin', [versionRow, reportedVersionSchema.extend(times)]);

/** An undeleted version, also one without a file. Throws `not_found`, which names who deleted it. */
export async function readVersion(db: Queryable, modelName: string, version: number): Promise<RegisteredVersion> {
  const found = await db.row(
    z.intersection(registeredRow, tombstoneRow),
    'SELECT * FROM model_versions WHERE model_name = $1 AND version = $2',
    [modelName, version],
  );
  if (!found) throw unknownVersion(modelName, version);
  const { deletedAt, deletedBy, ...there } = found;
  requireUndeleted({ deletedAt, deletedBy }, modelName, version);
  return there;
}

/** A version as one with a file. Throws `version_without_file`. */
export function withFile(version: RegisteredVersion): ModelVersion {
  if (version.origin === 'reported') throw withoutFile(version.modelName, version.version);
  return version;
}

/** The version of a run, deleted or not. */
export function versionOfRun(db: Queryable, runId: string): Promise<ModelVersion | null> {
  return db.row(versionRow, 'SELECT * FROM model_versions WHERE run_id = $1', [runId]);
}

/** The newest of some versions, in SQL: of those with a file, if there are any. */
export const latestVersion = `coalesce(max(version) FILTER (WHERE origin <> 'reported'), max(version))`;

/**
 * A version by its number or `@alias`; `@production` and `@latest` are computed. `@latest` is a version with a file, if
 * there is one, so that a report does not change what programs work with. Throws `not_found`.
 */
export async function resolveVersion(db: Queryable, modelName: string, reference: string): Promise<RegisteredVersion> {
  if (!reference.startsWith('@')) return readVersion(db, modelName, Number(reference));
  const alias = reference.slice(1);
  const found = await db.row(
    registeredRow,
    `SELECT v.* FROM model_versions v LEFT JOIN model_aliases a
       ON a.model_name = v.model_name AND a.version = v.version AND a.alias = $2
     WHERE v.model_name = $1 AND v.deleted_at IS NULL AND CASE $2
       WHEN 'production' THEN v.stage = 'Production' WHEN 'latest' THEN true ELSE a.alias IS NOT NULL END
     ORDER BY v.origin = 'reported', v.version DESC LIMIT 1`,
    [modelName, alias],
  );
  if (found) return found;
  await requireModel(db, modelName);
  throw new PerennialError('not_found', `No version of ${modelName} is called ${reference}.`);
}

/** Throws `not_found` for a model that has never had a version. */
export async function requireModel(db: Queryable, modelName: string): Promise<void> {
  const known = await db.query('SELECT FROM models WHERE name = $1', [modelName]);
  if (known.length === 0) throw unknownModel(modelName);
}

/** The audit subject of a version. */
export function subjectOf(modelName: string, version: number): string {
  return `models/${modelName}/versions/${version}`;
}
