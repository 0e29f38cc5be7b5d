import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { Retirement } from '../../contracts/registry/registry.js';
import type { Queryable } from '../postgres/database.js';
import { lockModel, productionOf, requireGeneration, retirementOf, serve, setStage } from './production.js';
import { findRecord, recordProductionChange, type PromotionRow } from './promotion-record.js';

export interface RetirementRequest {
  modelName: string;
  by: Actor;
  reason: string;
  /** Repeating a retirement with the same key returns the first result and changes nothing. */
  idempotencyKey: string;
  /** The generation the retirement was decided on; null skips the check. */
  expectedGeneration: number | null;
}

/** Result of a retirement. `version` was archived, and nothing is served. */
export interface RetiredModel {
  version: number;
  generation: number;
  repeated: boolean;
}

/** Within a transaction: see `RegistryStore.retire`. */
export async function retire(tx: Queryable, request: RetirementRequest): Promise<RetiredModel> {
  const { modelName, idempotencyKey, expectedGeneration: expected } = request;
  await lockModel(tx, modelName);
  const earlier = await findRecord(tx, idempotencyKey, 'retirement');
  if (earlier) return repetition(earlier, request);
  await requireGeneration(tx, {
    modelName,
    expected,
    refused: `${modelName} was not retired`,
    advice: 'Check the version in Production, and retire the model again if it must not be served either.',
  });
  const version = await productionOf(tx, modelName);
  if (version === null) throw nothingToRetire(modelName, await retirementOf(tx, modelName));
  await setStage(tx, modelName, version, 'Archived');
  const generation = await serve(tx, modelName, null);
  const entry = { ...request, version, formerVersion: null, generation, workflowId: null, approver: null };
  await recordProductionChange(tx, 'retirement', entry);
  return { version, generation, repeated: false };
}

function nothingToRetire(modelName: string, retirement: Retirement | null): PerennialError {
  const why = retirement
    ? `it was retired by ${retirement.by} at ${retirement.at} already`
    : 'no version of it is in Production';
  return new PerennialError(
    'conflict',
    `${modelName} cannot be retired: ${why}. Nothing is served, so its versions can be archived, deleted or erased now.`,
  );
}

function repetition({ modelName, version, generation }: PromotionRow, request: RetirementRequest): RetiredModel {
  if (modelName === request.modelName) return { version, generation, repeated: true };
  throw new PerennialError(
    'conflict',
    `The key ${request.idempotencyKey} was used to retire ${modelName}. Use a new key.`,
  );
}
