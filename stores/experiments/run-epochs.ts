import { snakeCase } from '../../contracts/http/spelling.js';
import { z } from 'zod';
import { epochMetricsSchema, type EpochMetrics, type Evaluation } from '../../contracts/training/training.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { holdAttempt } from './run-lock.js';

const checkpointRow = z.object({ epoch: z.number(), objectKey: z.string(), sha256: z.string() });
export type Checkpoint = z.output<typeof checkpointRow>;

/** Metrics and checkpoints of each epoch of a run. */
export interface EpochRecord {
  /**
   * Commits an epoch: its metrics and its checkpoint (null if it needs none), or neither. Throws `stale_attempt` after a
   * later attempt or if the run has ended.
   */
  recordEpoch(
    runId: string,
    attempt: number,
    metrics: EpochMetrics,
    checkpoint: { objectKey: string; sha256: string; sizeBytes: number } | null,
  ): Promise<void>;
  latestCheckpoint(runId: string): Promise<Checkpoint | null>;
  /** Metrics of every committed epoch, in order. */
  epochs(runId: string): Promise<EpochMetrics[]>;
  /** Object keys of all checkpoints but those of the last `keepLast` epochs. */
  olderCheckpoints(runId: string, keepLast: number): Promise<string[]>;
  /** Deletes the rows of checkpoints whose objects are deleted. */
  forgetCheckpoints(runId: string, objectKeys: readonly string[]): Promise<void>;
}

export function createEpochRecord(db: Database): EpochRecord {
  return {
    recordEpoch: (runId, attempt, metrics, checkpoint) =>
      db.transaction(async (tx) => {
        await holdAttempt(tx, runId, attempt);
        await writeMetrics(tx, runId, [metrics]);
        if (checkpoint === null) return;
        await tx.query(
          `INSERT INTO checkpoints (run_id, epoch, attempt, object_key, sha256, size_bytes)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (run_id, epoch) DO UPDATE SET attempt = excluded.attempt, object_key = excluded.object_key,
             sha256 = excluded.sha256, size_bytes = excluded.size_bytes`,
          [runId, metrics.epoch, attempt, checkpoint.objectKey, checkpoint.sha256, checkpoint.sizeBytes],
        );
      }),
    epochs: (runId) => readEpochs(db, runId),
    latestCheckpoint: (runId) =>
      db.row(
        checkpointRow,
        'SELECT epoch, object_key, sha256 FROM checkpoints WHERE run_id = $1 ORDER BY epoch DESC LIMIT 1',
        [runId],
      ),
    async olderCheckpoints(runId, keepLast) {
      const older = await db.rows(
        z.object({ objectKey: z.string() }),
        'SELECT object_key FROM checkpoints WHERE run_id = $1 ORDER BY epoch DESC OFFSET $2',
        [runId, keepLast],
      );
      return older.map(({ objectKey }) => objectKey);
    },
    async forgetCheckpoints(runId, objectKeys) {
      await db.query('DELETE FROM checkpoints WHERE run_id = $1 AND object_key = ANY($2)', [runId, objectKeys]);
    },
  };
}

/** The measures of an evaluation by their public names. */
export function measuresOf(evaluation: Evaluation): Record<string, number> {
  const { loss, accuracy, precision, recall, f1, rocAuc, calibrationError } = evaluation;
  return { loss, accuracy, precision, recall, f1, roc_auc: rocAuc, calibration_error: calibrationError };
}

/** Writes the metrics of epochs, in their order, within a transaction that holds the run. */
export async function writeMetrics(tx: Queryable, runId: string, epochs: readonly EpochMetrics[]): Promise<void> {
  const points = epochs.flatMap(({ epoch, ...values }) =>
    Object.entries(values).map(([name, value]) => ({ epoch, name, value })),
  );
  await tx.query(
    `INSERT INTO run_metrics (run_id, step, name, value)
     SELECT $1, step, name, value
     FROM unnest($2::integer[], $3::text[], $4::double precision[]) AS metric (step, name, value)
     ON CONFLICT (run_id, step, name) DO UPDATE SET value = excluded.value`,
    [runId, points.map(({ epoch }) => epoch), points.map(({ name }) => name), points.map(({ value }) => value)],
  );
  const newest = epochs.at(-1)?.epoch;
  const last = points.filter(({ epoch }) => epoch === newest).map(({ name, value }) => [snakeCase(name), value]);
  await tx.query('UPDATE runs SET final_metrics = final_metrics || $2 WHERE run_id = $1', [
    runId,
    jsonParameter(Object.fromEntries(last)),
  ]);
}

async function readEpochs(db: Queryable, runId: string): Promise<EpochMetrics[]> {
  const rows = await db.rows(
    z.object({ step: z.number(), values: z.record(z.string(), z.number()) }),
    `SELECT step, jsonb_object_agg(name, value) AS values FROM run_metrics WHERE run_id = $1 GROUP BY step ORDER BY step`,
    [runId],
  );
  return rows.map(({ step, values }) => epochMetricsSchema.parse({ epoch: step, ...values }));
}
