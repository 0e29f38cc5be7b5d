import type { Actor } from '../contracts/audit.js';
import { PerennialError } from '../contracts/errors.js';
import type { Queryable } from './database.js';
import { lockModel, productionOf, serve, servedNow, setStage, stageOf } from './production.js';
import { findRecord, recordMove, type PromotionRow } from './promotion-record.js';

export interface PromotionRequest {
  modelName: string;
  version: number;
  by: Actor;
  reason: string;
  idempotencyKey: string;
  workflowId: string | null;
  /** The generation the promotion was decided on; null promotes whatever is served by now. */
  expectedGeneration: number | null;
  /** Who approved, where that was asked for. */
  approver: string | null;
}

/** What a change of Production did. `repeated` tells that an earlier call had done it and nothing changed now. */
export interface Move {
  formerVersion: number | null;
  generation: number;
  repeated: boolean;
}

/** Within a transaction: see `RegistryStore.promote`. */
export async function promote(tx: Queryable, request: PromotionRequest): Promise<Move> {
  const { modelName, version, idempotencyKey } = request;
  await lockModel(tx, modelName);
  const earlier = await findRecord(tx, idempotencyKey, 'promotion');
  if (earlier) return repetition(earlier, request);
  await requireGeneration(tx, request);
  const stage = await stageOf(tx, modelName, version);
  if (stage !== 'Staging') throw notInStaging(request, stage);
  const formerVersion = await productionOf(tx, modelName);
  if (formerVersion !== null) await setStage(tx, modelName, formerVersion, 'Archived');
  await setStage(tx, modelName, version, 'Production');
  const generation = await serve(tx, modelName, version);
  await recordMove(tx, 'promotion', { ...request, formerVersion, generation });
  return { formerVersion, generation, repeated: false };
}

/** See `RegistryStore.requirePromotable`. */
export async function requirePromotable(
  db: Queryable,
  { modelName, version, idempotencyKey }: Pick<PromotionRequest, 'modelName' | 'version' | 'idempotencyKey'>,
): Promise<void> {
  const stage = await stageOf(db, modelName, version);
  if (stage === 'Staging' || (await findRecord(db, idempotencyKey, 'promotion'))) return;
  throw notInStaging({ modelName, version }, stage);
}

/** The fence against a promoter whose decision compared with what is no longer served. */
async function requireGeneration(tx: Queryable, request: PromotionRequest): Promise<void> {
  const { modelName, version, expectedGeneration } = request;
  if (expectedGeneration === null) return;
  const { generation, version: served } = await servedNow(tx, modelName);
  if (generation === expectedGeneration) return;
  throw new PerennialError(
    'stale_promotion',
    `Version ${version} of ${modelName} was not promoted: since that was decided, Production has changed to ${served === null ? 'none' : `version ${served}`} (generation ${generation} in place of ${expectedGeneration}). Validate it against what is in Production now.`,
  );
}

function notInStaging(
  { modelName, version }: Pick<PromotionRequest, 'modelName' | 'version'>,
  stage: string,
): PerennialError {
  const ways: Record<string, string> = {
    Production: 'It is being served already.',
    Archived: `Move it to Staging first (POST /api/v1/mlops/models/${modelName}/versions/${version}/stage), or roll back to it if it was in Production.`,
    None: `Move it to Staging first (POST /api/v1/mlops/models/${modelName}/versions/${version}/stage).`,
  };
  return new PerennialError(
    'conflict',
    `Version ${version} of ${modelName} is in ${stage}; only a version in Staging can be promoted. ${ways[stage] ?? ''}`,
  );
}

function repetition(earlier: PromotionRow, { modelName, version, idempotencyKey }: PromotionRequest): Move {
  if (earlier.modelName !== modelName || earlier.version !== version) {
    throw new PerennialError(
      'conflict',
      `The key ${idempotencyKey} was used to promote version ${earlier.version} of ${earlier.modelName}. Use a new key.`,
    );
  }
  return { formerVersion: earlier.formerVersion, generation: earlier.generation, repeated: true };
}
