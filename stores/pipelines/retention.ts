import { z } from 'zod';
import { integerColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';

/** What has become useless with time. What anything still refers to is no part of it. */
export interface RetentionStore {
  countPredictions(modelName: string, before: Date): Promise<number>;
  /** Messages that reached everyone they were for, or were given up, before a moment. */
  countMessages(before: Date): Promise<number>;
  removeMessages(before: Date, limit: number): Promise<number>;
  /** Runs that ended before a moment and have checkpoints still. */
  runsWithCheckpoints(before: Date): Promise<string[]>;
  /** Of these runs, those of which there is no record (any more). */
  unknownRuns(runIds: readonly string[]): Promise<string[]>;
  /** Files of ingestions that ended before a moment and are no source's current look. */
  countFormerFiles(before: Date): Promise<number>;
  removeFormerFiles(before: Date, limit: number): Promise<number>;
  /**
   * Uploads from before a moment whose originals are there although nothing takes them in. Also a run that was started
   * after an upload for the same dataset may be about to: it may have waited for a worker since.
   */
  leftUploads(before: Date): Promise<string[]>;
  countAttempts(before: Date): Promise<number>;
}

const formerFiles = `FROM ingestion_files f JOIN ingestions i ON i.id = f.ingestion_id
  WHERE i.status <> 'running' AND i.ended_at < $1
    AND NOT EXISTS (SELECT FROM dataset_sources s WHERE s.current_ingestion_id = i.id)`;

const leftUploads = `SELECT u.id::text AS id FROM uploads u WHERE u.discarded_at IS NULL AND u.created_at < $1 AND NOT EXISTS (
    SELECT FROM ingestions i WHERE i.kind = 'upload' AND i.locator = u.id::text AND i.status = 'running')
  AND NOT EXISTS (
    SELECT FROM batch_predictions b
    WHERE b.status IN ('waiting', 'running') AND b.job_order #>> '{source,uploadId}' = u.id::text)
  AND NOT EXISTS (
    SELECT FROM pipelines p WHERE p.status = 'running' AND p.dataset = u.dataset AND p.started_at >= u.created_at)
  ORDER BY u.created_at`;

export function createRetentionStore(db: Database): RetentionStore {
  const count = async (what: string, parameters: readonly unknown[]): Promise<number> => {
    const row = await db.row(z.object({ total: integerColumn }), `SELECT count(*) AS total ${what}`, parameters);
    return row?.total ?? 0;
  };
  const ids = async (sql: string, parameters: readonly unknown[]): Promise<string[]> =>
    (await db.rows(z.object({ id: z.string() }), sql, parameters)).map(({ id }) => id);
  return {
    countPredictions: (modelName, before) =>
      count('FROM predictions WHERE model_name = $1 AND created_at < $2', [modelName, before]),
    countMessages: (before) => count('FROM outbox WHERE done_at < $1', [before]),
    async removeMessages(before, limit) {
      const removed = await db.query(
        `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE done_at < $1 ORDER BY id LIMIT $2) RETURNING id`,
        [before, limit],
      );
      return removed.length;
    },
    runsWithCheckpoints: (before) =>
      ids(
        `SELECT run_id AS id FROM runs r WHERE status <> 'running' AND ended_at < $1
           AND EXISTS (SELECT FROM checkpoints c WHERE c.run_id = r.run_id) ORDER BY run_id`,
        [before],
      ),
    unknownRuns: (runIds) =>
      ids('SELECT id FROM unnest($1::text[]) AS asked (id) WHERE NOT EXISTS (SELECT FROM runs WHERE run_id = id)', [
        runIds,
      ]),
    countFormerFiles: (before) => count(formerFiles, [before]),
    async removeFormerFiles(before, limit) {
      const removed = await db.query(
        `DELETE FROM ingestion_files WHERE (ingestion_id, path) IN (
           SELECT f.ingestion_id, f.path ${formerFiles} LIMIT $2) RETURNING path`,
        [before, limit],
      );
      return removed.length;
    },
    leftUploads: (before) => ids(leftUploads, [before]),
    countAttempts: (before) => count('FROM activity_attempts WHERE started_at < $1', [before]),
  };
}
