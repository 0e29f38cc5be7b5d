import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { Queryable } from '../postgres/database.js';
import { lockModel, productionOf, requireGeneration, serve, setStage, productionStateOf } from './production.js';
import { findRecord, recordProductionChange, type PromotionRow } from './promotion-record.js';

export interface PromotionRequest {
  modelName: string;
  version: number;
  by: Actor;
  reason: string;
  idempotencyKey: string;
  workflowId: string | null;
  /** The generation the promotion was decided on; null skips the check. */
  expectedGeneration: number | null;
  /** Who approved; null if no approval was required. */
  approver: string | null;
}

/** Result of a change of Production. `repeated`: an earlier call made the change and this one changed nothing. */
export interface ProductionMove {
  formerVersion: number | null;
  generation: number;
  repeated: boolean;
}

/** Within a transaction: see `RegistryStore.promote`. */
export async function promote(tx: Queryable, request: PromotionRequest): Promise<ProductionMove> {
  const { modelName, version, idempotencyKey, expectedGeneration } = request;
  await lockModel(tx, modelName);
  const earlier = await findRecord(tx, idempotencyKey, 'promotion');
  if (earlier) return repetition(earlier, request);
  await requireGeneration(tx, {
    modelName,
    expected: expectedGeneration,
    refused: `Version ${version} of ${modelName} was not promoted`,
    advice: 'Validate it against what is in Production now.',
  });
  await requireReady(tx, modelName, version);
  const formerVersion = await productionOf(tx, modelName);
  if (formerVersion !== null) await setStage(tx, modelName, formerVersion, 'Archived');
  await setStage(tx, modelName, version, 'Production');
  await keepDecision(tx, modelName, version);
  const generation = await serve(tx, modelName, version);
  await recordProductionChange(tx, 'promotion', { ...request, formerVersion, generation });
  return { formerVersion, generation, repeated: false };
}

/** The newest validation becomes the decision that the version was promoted by. */
async function keepDecision(tx: Queryable, modelName: string, version: number): Promise<void> {
  await tx.query(
    `UPDATE model_versions SET decision = last_validation
     WHERE model_name = $1 AND version = $2 AND last_validation IS NOT NULL`,
    [modelName, version],
  );
}

/** See `RegistryStore.requirePromotable`. */
export async function requirePromotable(
  db: Queryable,
  request: Pick<PromotionRequest, 'modelName' | 'version' | 'idempotencyKey'>,
): Promise<void> {
  const earlier = await findRecord(db, request.idempotencyKey, 'promotion');
  if (earlier) {
    requireSameVersion(earlier, request);
    return;
  }
  try {
    await requireReady(db, request.modelName, request.version);
  } catch (error) {
    // A request with the same key may have promoted the version between both reads.
    const since = await findRecord(db, request.idempotencyKey, 'promotion');
    if (!since) throw error;
    requireSameVersion(since, request);
  }
}

/** Only a version in Staging with a verified bundle can be promoted. */
async function requireReady(db: Queryable, modelName: string, version: number): Promise<void> {
  const { stage, isVerified } = await productionStateOf(db, modelName, version);
  if (stage !== 'Staging') throw notInStaging({ modelName, version }, stage);
  if (isVerified) return;
  throw new PerennialError(
    'conflict',
    `The bundle of version ${version} of ${modelName} is not verified, so it cannot be promoted. Verify it first: POST /api/v1/mlops/models/${modelName}/versions/${version}/validate.`,
  );
}

function notInStaging(
  { modelName, version }: Pick<PromotionRequest, 'modelName' | 'version'>,
  stage: string,
): PerennialError {
  const ways: Record<string, string> = {
    Production: 'It is in Production already.',
    Archived: `Move it to Staging first (POST /api/v1/mlops/models/${modelName}/versions/${version}/stage), or roll back to it (POST /api/v1/mlops/models/${modelName}/rollback) if it was in Production.`,
    None: `Move it to Staging first (POST /api/v1/mlops/models/${modelName}/versions/${version}/stage).`,
  };
  return new PerennialError(
    'conflict',
    `Version ${version} of ${modelName} is in ${stage}; only a version in Staging can be promoted. ${ways[stage] ?? ''}`,
  );
}

function repetition(earlier: PromotionRow, request: PromotionRequest): ProductionMove {
  requireSameVersion(earlier, request);
  return { formerVersion: earlier.formerVersion, generation: earlier.generation, repeated: true };
}

/** Checks that an already used key belongs to this version. Throws `conflict`. */
function requireSameVersion(
  earlier: PromotionRow,
  { modelName, version, idempotencyKey }: Pick<PromotionRequest, 'modelName' | 'version' | 'idempotencyKey'>,
): void {
  if (earlier.modelName === modelName && earlier.version === version) return;
  throw new PerennialError(
    'conflict',
    `The key ${idempotencyKey} was used to promote version ${earlier.version} of ${earlier.modelName}. Use a new key.`,
  );
}
