import { z } from 'zod';
import { integerColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';

/** Expired data. Referenced data is excluded. */
export interface RetentionStore {
  countPredictions(modelName: string, before: Date): Promise<number>;
  /** Messages that were delivered or dead before a time. */
  countMessages(before: Date): Promise<number>;
  removeMessages(before: Date, limit: number): Promise<number>;
  /** Runs that ended before a time and still have checkpoints. */
  runsWithCheckpoints(before: Date): Promise<string[]>;
  /** The ids among these that have no run in the database. */
  unknownRuns(runIds: readonly string[]): Promise<string[]>;
  /** File rows of ingestions that ended before a time and are not the current scan of a source. */
  countFormerFiles(before: Date): Promise<number>;
  removeFormerFiles(before: Date, limit: number): Promise<number>;
  /**
   * Uploads before a time whose originals are stored although nothing will ingest them. Excludes uploads that a run started
   * later for the same dataset may still ingest: it may have waited for a worker since.
   */
  leftUploads(before: Date): Promise<string[]>;
  /** Uploads before a time that are discarded but for files that their ingestion refused. */
  expiredRefusals(before: Date): Promise<string[]>;
  /** Notes that these files are no longer stored. */
  forgetRefusals(uploadId: string): Promise<void>;
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
    expiredRefusals: (before) =>
      ids(
        `SELECT u.id::text AS id FROM uploads u WHERE u.discarded_at < $1
           AND EXISTS (SELECT FROM upload_files f WHERE f.upload_id = u.id AND f.is_refused) ORDER BY u.created_at`,
        [before],
      ),
    async forgetRefusals(uploadId) {
      await db.query('UPDATE upload_files SET is_refused = false WHERE upload_id = $1', [uploadId]);
    },
    countAttempts: (before) => count('FROM activity_attempts WHERE started_at < $1', [before]),
  };
}
