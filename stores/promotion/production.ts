import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { generationChannel } from '../../contracts/names.js';
import { retirementSchema, type Retirement, type Stage } from '../../contracts/registry/registry.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';

/** The stages of a model's versions; every function needs a transaction that holds the model's lock. */

/** Locks the model for the rest of the transaction. Throws `not_found`. */
export async function lockModel(tx: Queryable, modelName: string): Promise<void> {
  const locked = await tx.query('SELECT FROM models WHERE name = $1 FOR UPDATE', [modelName]);
  if (locked.length === 0) throw unknownModel(modelName);
}

/** The error for a model that has never had a version. */
export function unknownModel(modelName: string): PerennialError {
  return new PerennialError('not_found', `There is no model ${modelName}. Its first training or import creates it.`);
}

export function unknownVersion(modelName: string, version: number): PerennialError {
  return new PerennialError('not_found', `There is no version ${version} of ${modelName}.`);
}

/** The error for an act that needs the file of a version that has none. */
export function withoutFile(modelName: string, version: number): PerennialError {
  return new PerennialError(
    'version_without_file',
    `Version ${version} of ${modelName} has no file: only its metrics were reported, so there is nothing to measure, promote or serve. Upload the model for it: POST /api/v1/mlops/models/register as a form with model_name=${modelName}, version=${version}, labels and files.`,
  );
}

/** Who deleted a version, and when; null while it is there. */
export const tombstoneRow = z.object({ deletedAt: timestampColumn.nullable(), deletedBy: z.string().nullable() });

/** Throws `not_found`, which names who deleted the version. */
export function requireUndeleted(
  { deletedAt, deletedBy }: z.output<typeof tombstoneRow>,
  modelName: string,
  version: number,
): void {
  if (deletedAt === null) return;
  throw new PerennialError(
    'not_found',
    `Version ${version} of ${modelName} was deleted by ${deletedBy ?? 'an unknown actor'} at ${deletedAt}.`,
  );
}

export interface ProductionState {
  stage: string;
  /** Whether its bundle was verified. */
  isVerified: boolean;
}

/** Throws `not_found`, `version_without_file`, and `conflict` for a version whose bundle was erased. */
export async function productionStateOf(tx: Queryable, modelName: string, version: number): Promise<ProductionState> {
  const row = await tx.row(
    tombstoneRow.extend({ stage: z.string(), origin: z.string(), isVerified: z.boolean(), isErased: z.boolean() }),
    `SELECT stage, origin, verified_at IS NOT NULL AS is_verified, erased_at IS NOT NULL AS is_erased, deleted_at,
       deleted_by FROM model_versions WHERE model_name = $1 AND version = $2`,
    [modelName, version],
  );
  if (row?.isErased === true) {
    throw new PerennialError(
      'conflict',
      `Version ${version} of ${modelName} was erased, so it cannot serve. Train a new one: POST /api/v1/pipelines/retraining.`,
    );
  }
  if (!row) throw unknownVersion(modelName, version);
  requireUndeleted(row, modelName, version);
  if (row.origin === 'reported') throw withoutFile(modelName, version);
  return row;
}

export async function productionOf(tx: Queryable, modelName: string): Promise<number | null> {
  const row = await tx.row(
    z.object({ version: z.number() }),
    `SELECT version FROM model_versions WHERE model_name = $1 AND stage = 'Production'`,
    [modelName],
  );
  return row?.version ?? null;
}

export async function setStage(tx: Queryable, modelName: string, version: number, stage: Stage): Promise<void> {
  await tx.query('UPDATE model_versions SET stage = $3 WHERE model_name = $1 AND version = $2', [
    modelName,
    version,
    stage,
  ]);
}

/** The version that replicas must serve; generation 0 before the first promotion. */
export async function servedNow(
  tx: Queryable,
  modelName: string,
): Promise<{ generation: number; version: number | null }> {
  const state = await tx.row(
    z.object({ generation: integerColumn, version: z.number().nullable() }),
    'SELECT generation, version FROM serving_state WHERE model_name = $1',
    [modelName],
  );
  return state ?? { generation: 0, version: null };
}

/** The retirement that left Production empty; null while something is served, or if nothing ever was. */
export function retirementOf(tx: Queryable, modelName: string): Promise<Retirement | null> {
  return tx.row(
    retirementSchema.extend({ at: timestampColumn }),
    `SELECT p.version, p.created_at AS at, p.actor AS by, p.reason
     FROM serving_state s JOIN promotions p ON p.model_name = s.model_name AND p.generation = s.generation
     WHERE s.model_name = $1 AND s.version IS NULL AND p.kind = 'retirement'`,
    [modelName],
  );
}

/** How a retired model is served again, as a sentence. */
export function wayBack({ version }: Retirement, modelName: string): string {
  const model = `/api/v1/mlops/models/${modelName}`;
  return `To serve it again, move a version to Staging (POST ${model}/versions/${version}/stage for the last one) and promote it (POST /api/v1/mlops/models/promote). If none is left, train one: POST /api/v1/pipelines/retraining.`;
}

/** Makes replicas serve `version`; returns the new generation. */
export async function serve(tx: Queryable, modelName: string, version: number | null): Promise<number> {
  const [state] = await tx.rows(
    z.object({ generation: integerColumn }),
    `INSERT INTO serving_state (model_name, generation, version) VALUES ($1, 1, $2)
     ON CONFLICT (model_name) DO UPDATE SET generation = serving_state.generation + 1, version = excluded.version,
       changed_at = now()
     RETURNING generation`,
    [modelName, version],
  );
  if (!state) throw new PerennialError('internal', `The serving state of ${modelName} could not be written.`);
  await tx.query('SELECT pg_notify($1, $2)', [
    generationChannel,
    JSON.stringify({ modelName, generation: state.generation }),
  ]);
  return state.generation;
}

export interface Fence {
  modelName: string;
  /** The generation that the change was decided on; null skips the check. */
  expected: number | null | undefined;
  /** What was refused, as the start of a sentence. */
  refused: string;
  /** What to do next, as a sentence. */
  advice: string;
}

/** Refuses a change that was decided on an older generation. Throws `stale_promotion`. */
export async function requireGeneration(tx: Queryable, { modelName, expected, refused, advice }: Fence): Promise<void> {
  if (expected === null || expected === undefined) return;
  const { generation, version } = await servedNow(tx, modelName);
  if (generation === expected) return;
  throw new PerennialError(
    'stale_promotion',
    `${refused}: since that was decided, Production has changed to ${version === null ? 'none' : `version ${version}`} (generation ${generation} in place of ${expected}). ${advice}`,
  );
}
