import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { modelPolicySchema, type ModelPolicy } from '../../contracts/promotion/policy.js';
import { writeAudit } from '../audit/audit.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';

/** Policies of models. */
export interface PolicyStore {
  /** The policy of a model, or the defaults. */
  get(modelName: string): Promise<ModelPolicy>;
  set(modelName: string, policy: ModelPolicy, by: Actor): Promise<void>;
}

export function createPolicyStore(db: Database): PolicyStore {
  return {
    get: (modelName) => readPolicy(db, modelName),
    set: (modelName, policy, by) =>
      db.transaction(async (tx) => {
        await tx.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`policy ${modelName}`]);
        const before = await readPolicy(tx, modelName);
        await tx.query(
          `INSERT INTO model_policies (model_name, policy) VALUES ($1, $2)
           ON CONFLICT (model_name) DO UPDATE SET policy = excluded.policy, changed_at = now()`,
          [modelName, jsonParameter(policy)],
        );
        await writeAudit(tx, {
          by,
          action: 'policy.set',
          subject: `models/${modelName}/policy`,
          before,
          after: policy,
        });
      }),
  };
}

async function readPolicy(db: Queryable, modelName: string): Promise<ModelPolicy> {
  const row = await db.row(
    z.object({ policy: modelPolicySchema }),
    'SELECT policy FROM model_policies WHERE model_name = $1',
    [modelName],
  );
  return row?.policy ?? modelPolicySchema.parse({});
}
