import { z } from 'zod';
import { productionChangeKinds } from '../../contracts/registry/registry.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';
import { productionColumns } from '../promotion/promotion-record.js';
import { requireModel } from './rows.js';

const moveRow = z.object({
  id: integerColumn,
  kind: z.enum(productionChangeKinds),
  /** The version in Production from then on; null if a rollback or retirement left none. */
  version: z.number().nullable(),
  insteadOf: z.number().nullable(),
  generation: integerColumn,
  actor: z.string(),
  approver: z.string().nullable(),
  reason: z.string(),
  workflowId: z.string().nullable(),
  at: timestampColumn,
  /** When it was replaced; null while it is in Production. */
  until: timestampColumn.nullable(),
});
export type ProductionChange = z.output<typeof moveRow>;

const moves = `SELECT id, kind, generation, actor, approver, reason, workflow_id, created_at AS at, ${productionColumns},
    (SELECT later.created_at FROM promotions later
     WHERE later.model_name = p.model_name AND later.id > p.id ORDER BY later.id LIMIT 1) AS until
  FROM promotions p WHERE model_name = $1`;

/** History of Production: version, time, actor, reason, replaced version. */
export interface ProductionHistory {
  /** Every change of Production, newest first. Throws `not_found`. */
  productionMoves(
    modelName: string,
    query: { limit: number; pageToken?: string | null },
  ): Promise<Page<ProductionChange>>;
  /** The last change of Production before `time`; null if there was none. Throws `not_found`. */
  productionAt(modelName: string, time: Date): Promise<ProductionChange | null>;
  /** Number of changes of Production over all models, and the time of the last registered training. */
  totals(): Promise<ProductionTotals>;
}

export interface ProductionTotals {
  promotions: number;
  rollbacks: number;
  lastTrainedAt: string | null;
}

const totalsRow = z.object({
  promotions: integerColumn,
  rollbacks: integerColumn,
  lastTrainedAt: timestampColumn.nullable(),
});

export function createProductionHistory(db: Database): ProductionHistory {
  return {
    async productionMoves(modelName, { limit, pageToken }) {
      const before = sequenceOfToken(pageToken);
      await requireModel(db, modelName);
      const rows = await db.rows(moveRow, `${moves} AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`, [
        modelName,
        before,
        limit + 1,
      ]);
      return pageBy(rows, limit, ({ id }) => id);
    },
    async productionAt(modelName, time) {
      await requireModel(db, modelName);
      return db.row(moveRow, `${moves} AND created_at <= $2 ORDER BY id DESC LIMIT 1`, [modelName, time]);
    },
    async totals() {
      const row = await db.row(
        totalsRow,
        `SELECT count(*) FILTER (WHERE kind = 'promotion') AS promotions, count(*) FILTER (WHERE kind = 'rollback') AS rollbacks,
           (SELECT max(created_at) FROM model_versions WHERE origin = 'trained') AS last_trained_at
         FROM promotions`,
      );
      return row ?? { promotions: 0, rollbacks: 0, lastTrainedAt: null };
    },
  };
}
