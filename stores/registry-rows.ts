import { z } from 'zod';
import { PerennialError } from '../contracts/errors.js';
import { modelVersionSchema, type ModelVersion } from '../contracts/registry.js';
import { integerColumn, timestampColumn } from './columns.js';
import type { Queryable } from './database.js';

export const versionRow = modelVersionSchema.extend({
  sizeBytes: integerColumn,
  verifiedAt: timestampColumn.nullable(),
  createdAt: timestampColumn,
});

const tombstoneRow = z.object({ deletedAt: timestampColumn.nullable(), deletedBy: z.string().nullable() });

/** A version that is there. Throws `not_found`, which tells who deleted it if somebody did. */
export async function readVersion(db: Queryable, modelName: string, version: number): Promise<ModelVersion> {
  const found = await db.row(
    z.intersection(versionRow, tombstoneRow),
    'SELECT * FROM model_versions WHERE model_name = $1 AND version = $2',
    [modelName, version],
  );
  if (!found) throw new PerennialError('not_found', `There is no version ${version} of ${modelName}.`);
  const { deletedAt, deletedBy, ...there } = found;
  if (deletedAt === null) return there;
  throw new PerennialError(
    'not_found',
    `Version ${version} of ${modelName} was deleted by ${deletedBy ?? 'someone'} at ${deletedAt}.`,
  );
}

/** The version a run ended in, also when it has been deleted since. */
export function versionOfRun(db: Queryable, runId: string): Promise<ModelVersion | null> {
  return db.row(versionRow, 'SELECT * FROM model_versions WHERE run_id = $1', [runId]);
}

/** What is thrown for a model that has never had a version. */
export function unknownModel(modelName: string): PerennialError {
  return new PerennialError('not_found', `There is no model ${modelName}. It is made by its first training.`);
}

/** How a version is called in the audit. */
export function subjectOf(modelName: string, version: number): string {
  return `models/${modelName}/versions/${version}`;
}
