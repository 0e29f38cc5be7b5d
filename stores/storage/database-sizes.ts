import { z } from 'zod';
import { integerColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';

const sizesRow = z.object({ predictionBytes: integerColumn, otherBytes: integerColumn });
export type DatabaseSizes = z.output<typeof sizesRow>;

/** Sizes in Postgres, indexes included. */
export interface DatabaseSizeStore {
  /** The tables of predictions with all their partitions, and everything else in the database. */
  sizes(): Promise<DatabaseSizes>;
}

export function createDatabaseSizes(db: Database): DatabaseSizeStore {
  return {
    async sizes() {
      const row = await db.row(
        sizesRow,
        `SELECT predictions.bytes AS prediction_bytes,
           greatest(0, pg_database_size(current_database()) - predictions.bytes) AS other_bytes
         FROM (SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint AS bytes
           FROM pg_partition_tree('predictions')) predictions`,
      );
      return row ?? { predictionBytes: 0, otherBytes: 0 };
    },
  };
}
