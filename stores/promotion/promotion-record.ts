import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import type { ProductionChangeKind } from '../../contracts/registry/registry.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';
import { addToOutbox } from '../notifications/outbox.js';

const recordSchema = z.object({
  modelName: z.string(),
  version: z.number(),
  formerVersion: z.number().nullable(),
  generation: integerColumn,
  workflowId: z.string().nullable(),
});
export type PromotionRow = z.output<typeof recordSchema>;

/**
 * Columns of `promotions`: the version in Production from then on, and the one that it replaced. The row of a rollback or
 * retirement has them the other way round: the archived version as `version`, what serves after it as `former_version`.
 */
export const productionColumns = `CASE kind WHEN 'promotion' THEN version ELSE former_version END AS version,
    CASE kind WHEN 'promotion' THEN former_version ELSE version END AS instead_of`;

/** The change of this kind with this key. */
export function findRecord(tx: Queryable, key: string, kind: ProductionChangeKind): Promise<PromotionRow | null> {
  return tx.row(recordSchema, 'SELECT * FROM promotions WHERE idempotency_key = $1 AND kind = $2', [key, kind]);
}

const actions: Record<ProductionChangeKind, string> = {
  promotion: 'model.promote',
  rollback: 'model.roll_back',
  retirement: 'model.retire',
};

type NewRecord = PromotionRow & { by: Actor; reason: string; idempotencyKey: string; approver: string | null };

/** Writes the history row, the outbox row and the audit entry in the transaction of the change. */
export async function recordProductionChange(
  tx: Queryable,
  kind: ProductionChangeKind,
  entry: NewRecord,
): Promise<void> {
  const { modelName, version, formerVersion, generation, by, reason, idempotencyKey, workflowId, approver } = entry;
  await tx.query(
    `INSERT INTO promotions
       (model_name, kind, version, former_version, generation, actor, reason, idempotency_key, workflow_id, approver)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [modelName, kind, version, formerVersion, generation, by.name, reason, idempotencyKey, workflowId, approver],
  );
  await addToOutbox(tx, {
    key: `${kind}-${idempotencyKey}`,
    kind: `model.${kind}`,
    payload: { modelName, version, formerVersion, generation, actor: by.name, approver, reason },
  });
  const isPromotion = kind === 'promotion';
  await writeAudit(tx, {
    by,
    action: actions[kind],
    subject: `models/${modelName}/versions/${version}`,
    before: { production: isPromotion ? formerVersion : version },
    after: { production: isPromotion ? version : formerVersion, generation, reason, approver },
  });
}
