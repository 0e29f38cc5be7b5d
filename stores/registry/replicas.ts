import { z } from 'zod';
import { replicaStatsSchema } from '../../contracts/promotion/live-stats.js';
import { integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';

const replicaRow = z.object({
  replicaId: z.string(),
  url: z.string(),
  modelName: z.string(),
  generation: integerColumn,
  version: z.number().nullable(),
  error: z.string().nullable(),
  /** Code of `error`, from contracts/errors.ts. */
  errorCode: z.string().nullable(),
  /** Statistics of its predictions; null if it reports none. */
  figures: replicaStatsSchema.nullable(),
  seenAt: timestampColumn,
});
export type Replica = z.output<typeof replicaRow>;

/** Replicas and the versions they report to serve. */
export interface ReplicaRecord {
  reportReplica(replica: Omit<Replica, 'seenAt'>): Promise<void>;
  /** Replicas that reported within the last `withinMs`. */
  liveReplicas(modelName: string, withinMs: number): Promise<Replica[]>;
  /** Deletes a replica that shuts down, so that no promotion waits for it. */
  removeReplica(replicaId: string): Promise<void>;
}

export function createReplicaRecord(db: Database): ReplicaRecord {
  return {
    async reportReplica({ replicaId, url, modelName, generation, version, error, errorCode, figures }) {
      await db.query(
        `INSERT INTO replicas (replica_id, model_name, url, generation, version, error, error_code, figures)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (replica_id, model_name) DO UPDATE SET url = excluded.url, generation = excluded.generation,
           version = excluded.version, error = excluded.error, error_code = excluded.error_code,
           figures = excluded.figures, seen_at = now()`,
        [replicaId, modelName, url, generation, version, error, errorCode, jsonParameter(figures)],
      );
    },
    liveReplicas: (modelName, withinMs) =>
      db.rows(
        replicaRow,
        `SELECT * FROM replicas WHERE model_name = $1 AND seen_at > now() - $2 * interval '1 millisecond'
         ORDER BY replica_id`,
        [modelName, withinMs],
      ),
    async removeReplica(replicaId) {
      await db.query('DELETE FROM replicas WHERE replica_id = $1', [replicaId]);
    },
  };
}
