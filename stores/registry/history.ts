import { z } from 'zod';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';
import { pageOfRows, sequenceOfToken, type Page } from '../postgres/page.js';
import { requireModel } from './rows.js';

const moveRow = z.object({
  id: integerColumn,
  kind: z.enum(['promotion', 'rollback']),
  /** What was in Production from then on; null when a rollback left nothing. */
  version: z.number().nullable(),
  insteadOf: z.number().nullable(),
  generation: integerColumn,
  actor: z.string(),
  approver: z.string().nullable(),
  reason: z.string(),
  workflowId: z.string().nullable(),
  at: timestampColumn,
  /** When something else took its place; null while it is in Production. */
  until: timestampColumn.nullable(),
});
export type ProductionChange = z.output<typeof moveRow>;

// A rollback's row names the version it took out and, as the former one, the version that serves again.
const moves = `SELECT id, kind, generation, actor, approver, reason, workflow_id, created_at AS at,
    CASE kind WHEN 'promotion' THEN version ELSE former_version END AS version,
    CASE kind WHEN 'promotion' THEN former_version ELSE version END AS instead_of,
    (SELECT later.created_at FROM promotions later
     WHERE later.model_name = p.model_name AND later.id > p.id ORDER BY later.id LIMIT 1) AS until
  FROM promotions p WHERE model_name = $1`;

/** What was in Production when, by whom, why, and instead of what. */
export interface ProductionHistory {
  /** Every change of Production, newest first. Throws `not_found`. */
  productionMoves(
    modelName: string,
    query: { limit: number; pageToken?: string | null },
  ): Promise<Page<ProductionChange>>;
  /** The change that made Production what it was at `time`; null when nothing had been promoted. Throws `not_found`. */
  productionAt(modelName: string, time: Date): Promise<ProductionChange | null>;
  /** How often Production was changed, of all models, and when a training last ended in a version. */
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
      return pageOfRows(
        rows.map((item) => ({ sequence: item.id, item })),
        limit,
      );
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
