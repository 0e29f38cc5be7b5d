import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { modelVersionSchema, type ModelVersion } from '../../contracts/registry/registry.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';
import { requireUndeleted, tombstoneRow, unknownModel, unknownVersion } from '../promotion/production.js';

export const versionRow = modelVersionSchema.extend({
  sizeBytes: integerColumn,
  verifiedAt: timestampColumn.nullable(),
  lastValidatedAt: timestampColumn.nullable(),
  createdAt: timestampColumn,
});

/** An undeleted version. Throws `not_found`, which names who deleted it. */
export async function readVersion(db: Queryable, modelName: string, version: number): Promise<ModelVersion> {
  const found = await db.row(
    z.intersection(versionRow, tombstoneRow),
    'SELECT * FROM model_versions WHERE model_name = $1 AND version = $2',
    [modelName, version],
  );
  if (!found) throw unknownVersion(modelName, version);
  const { deletedAt, deletedBy, ...there } = found;
  requireUndeleted({ deletedAt, deletedBy }, modelName, version);
  return there;
}

/** The version of a run, deleted or not. */
export function versionOfRun(db: Queryable, runId: string): Promise<ModelVersion | null> {
  return db.row(versionRow, 'SELECT * FROM model_versions WHERE run_id = $1', [runId]);
}

/** A version by its number or `@alias`; `@production` and `@latest` are computed. Throws `not_found`. */
export async function resolveVersion(db: Queryable, modelName: string, reference: string): Promise<ModelVersion> {
  if (!reference.startsWith('@')) return readVersion(db, modelName, Number(reference));
  const alias = reference.slice(1);
  const found = await db.row(
    versionRow,
    `SELECT v.* FROM model_versions v LEFT JOIN model_aliases a
       ON a.model_name = v.model_name AND a.version = v.version AND a.alias = $2
     WHERE v.model_name = $1 AND v.deleted_at IS NULL AND CASE $2
       WHEN 'production' THEN v.stage = 'Production' WHEN 'latest' THEN true ELSE a.alias IS NOT NULL END
     ORDER BY v.version DESC LIMIT 1`,
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
