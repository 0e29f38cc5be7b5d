import { z } from 'zod';
import { PerennialError } from '../contracts/errors.js';
import { generationChannel } from '../contracts/names.js';
import type { Stage } from '../contracts/registry.js';
import { integerColumn } from './columns.js';
import type { Queryable } from './database.js';
import { addToOutbox } from './outbox.js';

export interface PromotionRequest {
  modelName: string;
  version: number;
  actor: string;
  reason: string;
  idempotencyKey: string;
  workflowId: string;
}

export interface ReversionRequest {
  /** Key of the promotion to take back. */
  idempotencyKey: string;
  actor: string;
  reason: string;
}

/** What a change of Production did. `repeated` tells that an earlier call had done it and nothing changed now. */
export interface Move {
  formerVersion: number | null;
  generation: number;
  repeated: boolean;
}

const recordSchema = z.object({
  modelName: z.string(),
  version: z.number(),
  formerVersion: z.number().nullable(),
  generation: integerColumn,
  workflowId: z.string().nullable(),
});
type PromotionRow = z.output<typeof recordSchema>;

/** Within a transaction: see `RegistryStore.promote`. */
export async function promote(tx: Queryable, request: PromotionRequest): Promise<Move> {
  const { modelName, version, idempotencyKey } = request;
  await lockModel(tx, modelName);
  const earlier = await findRecord(tx, idempotencyKey, 'promotion');
  if (earlier) return repetition(earlier, request);
  const stage = await stageOf(tx, modelName, version);
  if (stage !== 'Staging') {
    throw new PerennialError(
      'conflict',
      `Version ${version} of ${modelName} is in ${stage}; only a version in Staging can be promoted.`,
    );
  }
  const formerVersion = await productionOf(tx, modelName);
  if (formerVersion !== null) await setStage(tx, modelName, formerVersion, 'Archived');
  await setStage(tx, modelName, version, 'Production');
  const generation = await serve(tx, modelName, version);
  await record(tx, 'promotion', { ...request, formerVersion, generation });
  return { formerVersion, generation, repeated: false };
}

/** Within a transaction: see `RegistryStore.revertPromotion`. */
export async function revertPromotion(tx: Queryable, request: ReversionRequest): Promise<Move> {
  const { idempotencyKey } = request;
  const promotion = await findRecord(tx, idempotencyKey, 'promotion');
  if (!promotion) throw new PerennialError('not_found', `There is no promotion with the key ${idempotencyKey}.`);
  const { modelName, version, formerVersion } = promotion;
  await lockModel(tx, modelName);
  const earlier = await findRecord(tx, idempotencyKey, 'rollback');
  if (earlier) return { formerVersion: earlier.formerVersion, generation: earlier.generation, repeated: true };
  if ((await productionOf(tx, modelName)) !== version) {
    throw new PerennialError(
      'conflict',
      `Version ${version} of ${modelName} is no longer in Production, so its promotion cannot be taken back. Nothing was changed.`,
    );
  }
  await setStage(tx, modelName, version, 'Archived');
  if (formerVersion !== null) await setStage(tx, modelName, formerVersion, 'Production');
  const generation = await serve(tx, modelName, formerVersion);
  await record(tx, 'rollback', { ...promotion, ...request, generation });
  return { formerVersion, generation, repeated: false };
}

async function lockModel(tx: Queryable, modelName: string): Promise<void> {
  const locked = await tx.query('SELECT FROM models WHERE name = $1 FOR UPDATE', [modelName]);
  if (locked.length === 0) throw new PerennialError('not_found', `There is no model ${modelName}.`);
}

function findRecord(tx: Queryable, key: string, kind: 'promotion' | 'rollback'): Promise<PromotionRow | null> {
  return tx.row(recordSchema, 'SELECT * FROM promotions WHERE idempotency_key = $1 AND kind = $2', [key, kind]);
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

async function stageOf(tx: Queryable, modelName: string, version: number): Promise<string> {
  const row = await tx.row(
    z.object({ stage: z.string() }),
    'SELECT stage FROM model_versions WHERE model_name = $1 AND version = $2',
    [modelName, version],
  );
  if (!row) throw new PerennialError('not_found', `There is no version ${version} of ${modelName}.`);
  return row.stage;
}

async function productionOf(tx: Queryable, modelName: string): Promise<number | null> {
  const row = await tx.row(
    z.object({ version: z.number() }),
    `SELECT version FROM model_versions WHERE model_name = $1 AND stage = 'Production'`,
    [modelName],
  );
  return row?.version ?? null;
}

async function setStage(tx: Queryable, modelName: string, version: number, stage: Stage): Promise<void> {
  await tx.query('UPDATE model_versions SET stage = $3 WHERE model_name = $1 AND version = $2', [
    modelName,
    version,
    stage,
  ]);
}

/** Makes `version` what replicas must serve; gives the new generation. */
async function serve(tx: Queryable, modelName: string, version: number | null): Promise<number> {
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

type NewRecord = PromotionRow & { actor: string; reason: string; idempotencyKey: string };

async function record(tx: Queryable, kind: 'promotion' | 'rollback', entry: NewRecord): Promise<void> {
  const { modelName, version, formerVersion, generation, actor, reason, idempotencyKey, workflowId } = entry;
  await tx.query(
    `INSERT INTO promotions (model_name, kind, version, former_version, generation, actor, reason, idempotency_key, workflow_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [modelName, kind, version, formerVersion, generation, actor, reason, idempotencyKey, workflowId],
  );
  await addToOutbox(tx, {
    key: `${kind}-${idempotencyKey}`,
    kind: `model.${kind}`,
    payload: { modelName, version, formerVersion, generation, actor, reason },
  });
}
