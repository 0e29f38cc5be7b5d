import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { Queryable } from '../postgres/database.js';
import {
  lockModel,
  productionOf,
  requireGeneration,
  retirementOf,
  serve,
  servedNow,
  setStage,
  productionStateOf,
  wayBack,
} from './production.js';
import { findRecord, recordProductionChange, type PromotionRow } from './promotion-record.js';
import type { ProductionMove } from './promotions.js';

export interface ReversionRequest {
  /** Key of the promotion to revert. */
  idempotencyKey: string;
  by: Actor;
  reason: string;
}

export interface RollbackRequest {
  modelName: string;
  /** The target version; null is the version that was in Production before. */
  version: number | null;
  by: Actor;
  reason: string;
  /** Repeating a rollback with the same key returns the first result and changes nothing. */
  idempotencyKey: string;
  /** The generation the rollback was decided on; null skips the check. */
  expectedGeneration?: number | null;
}

/** Result of a rollback: `version` serves again, `formerVersion` was archived. */
export interface Rollback extends Omit<ProductionMove, 'formerVersion'> {
  version: number;
  formerVersion: number;
}

/** Within a transaction: see `RegistryStore.revertPromotion`. */
export async function revertPromotion(tx: Queryable, request: ReversionRequest): Promise<ProductionMove> {
  const { idempotencyKey } = request;
  const promotion = await findRecord(tx, idempotencyKey, 'promotion');
  if (!promotion) throw new PerennialError('not_found', `There is no promotion with the key ${idempotencyKey}.`);
  const { modelName, version, formerVersion } = promotion;
  await lockModel(tx, modelName);
  const earlier = await findRecord(tx, idempotencyKey, 'rollback');
  if (earlier) return { formerVersion: earlier.formerVersion, generation: earlier.generation, repeated: true };
  // Compare the generation, not the version: the same version may have been promoted again since.
  if ((await servedNow(tx, modelName)).generation !== promotion.generation) {
    throw new PerennialError(
      'conflict',
      `Version ${version} of ${modelName} is no longer in Production by that promotion, so the promotion cannot be reverted. Nothing was changed.`,
    );
  }
  await setStage(tx, modelName, version, 'Archived');
  if (formerVersion !== null) await setStage(tx, modelName, formerVersion, 'Production');
  const generation = await serve(tx, modelName, formerVersion);
  await recordProductionChange(tx, 'rollback', { ...promotion, ...request, generation, approver: null });
  return { formerVersion, generation, repeated: false };
}

/** Within a transaction: see `RegistryStore.rollback`. */
export async function rollBack(tx: Queryable, request: RollbackRequest): Promise<Rollback> {
  const { modelName, idempotencyKey } = request;
  await lockModel(tx, modelName);
  const earlier = await findRecord(tx, idempotencyKey, 'rollback');
  if (earlier) return repeatedRollback(earlier, request);
  await requireGeneration(tx, {
    modelName,
    expected: request.expectedGeneration,
    refused: `${modelName} was not rolled back`,
    advice: 'Check the version in Production, and roll back again if it must be replaced too.',
  });
  const current = await productionOf(tx, modelName);
  if (current === null) throw await nothingIsServed(tx, modelName);
  const version = request.version ?? (await versionBefore(tx, modelName, current));
  if (version === null) throw nothingBefore(modelName, current);
  await requireServedOnce(tx, modelName, version, current);
  await setStage(tx, modelName, current, 'Archived');
  await setStage(tx, modelName, version, 'Production');
  const generation = await serve(tx, modelName, version);
  const entry = { ...request, version: current, formerVersion: version, generation, workflowId: null, approver: null };
  await recordProductionChange(tx, 'rollback', entry);
  return { version, formerVersion: current, generation, repeated: false };
}

async function nothingIsServed(tx: Queryable, modelName: string): Promise<PerennialError> {
  const retirement = await retirementOf(tx, modelName);
  if (!retirement) return nothingToGoBackTo(modelName, 'nothing is in Production');
  return new PerennialError(
    'conflict',
    `${modelName} cannot be rolled back: it was retired by ${retirement.by} at ${retirement.at}. ${wayBack(retirement, modelName)}`,
  );
}

function nothingBefore(modelName: string, current: number): PerennialError {
  return new PerennialError(
    'conflict',
    `${modelName} cannot be rolled back: version ${current} is the first that was promoted, or the first after the model was retired. Promote another version (POST /api/v1/mlops/models/promote), or retire the model (POST /api/v1/mlops/models/${modelName}/retire) to serve none.`,
  );
}

function nothingToGoBackTo(modelName: string, why: string): PerennialError {
  return new PerennialError(
    'conflict',
    `${modelName} cannot be rolled back: ${why}. Promote a version in Staging instead (POST /api/v1/mlops/models/promote).`,
  );
}

function repeatedRollback(earlier: PromotionRow, { modelName, version, idempotencyKey }: RollbackRequest): Rollback {
  const { formerVersion: servedAgain } = earlier;
  if (earlier.modelName !== modelName || servedAgain === null || (version !== null && version !== servedAgain)) {
    throw new PerennialError(
      'conflict',
      `The key ${idempotencyKey} was used for another rollback, of ${earlier.modelName}. Use a new key.`,
    );
  }
  return {
    version: servedAgain,
    formerVersion: earlier.version,
    generation: earlier.generation,
    repeated: true,
  };
}

/** The version that was in Production before the current one, unless it was deleted. */
async function versionBefore(tx: Queryable, modelName: string, current: number): Promise<number | null> {
  const row = await tx.row(
    z.object({ formerVersion: z.number().nullable(), isThere: z.boolean() }),
    `SELECT p.former_version, EXISTS (SELECT FROM model_versions v
       WHERE v.model_name = p.model_name AND v.version = p.former_version AND v.deleted_at IS NULL) AS is_there
     FROM promotions p WHERE p.model_name = $1 AND p.version = $2 AND p.kind = 'promotion'
     ORDER BY p.id DESC LIMIT 1`,
    [modelName, current],
  );
  if (!row || row.formerVersion === null || row.isThere) return row?.formerVersion ?? null;
  throw nothingToGoBackTo(modelName, `version ${row.formerVersion}, which served before ${current}, was deleted`);
}

/** Only versions that have served before can be rolled back to; others need a promotion with its checks. */
async function requireServedOnce(tx: Queryable, modelName: string, version: number, current: number): Promise<void> {
  const { stage } = await productionStateOf(tx, modelName, version);
  if (version === current) {
    throw new PerennialError('conflict', `Version ${version} of ${modelName} is in Production already.`);
  }
  const served = await tx.query(
    `SELECT FROM promotions WHERE model_name = $1 AND version = $2 AND kind = 'promotion' LIMIT 1`,
    [modelName, version],
  );
  if (served.length > 0) return;
  throw new PerennialError(
    'conflict',
    `Version ${version} of ${modelName} (${stage}) was never in Production, so it cannot be rolled back to. Promote it instead (POST /api/v1/mlops/models/promote).`,
  );
}
