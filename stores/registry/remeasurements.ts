import { z } from 'zod';
import { currentPreprocessing } from '../../contracts/registry/bundle.js';
import type { RemeasurementOutcome } from '../../contracts/registry/remeasurement.js';
import { timestampColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';

const remeasurementRow = z.object({
  images: z.number().nullable(),
  accuracy: z.number().nullable(),
  failure: z.string().nullable(),
  measuredAt: timestampColumn.nullable(),
});
/** Without a time the measurement is still to be done. */
export type Remeasurement = z.output<typeof remeasurementRow>;

const pendingRow = z.object({ modelName: z.string(), version: z.number() });

/** Versions of an earlier preprocessing, measured again with the current one. */
export interface RemeasurementRecord {
  /** Versions that wait for their measurement: those in Production first, then the newest. */
  pendingRemeasurements(): Promise<z.output<typeof pendingRow>[]>;
  /** Stores the first outcome; further ones change nothing. */
  recordRemeasurement(modelName: string, version: number, outcome: RemeasurementOutcome): Promise<void>;
  /** Null for a version that was trained or imported with the current preprocessing. */
  remeasurement(modelName: string, version: number): Promise<Remeasurement | null>;
}

export function createRemeasurementRecord(db: Database): RemeasurementRecord {
  return {
    pendingRemeasurements: () =>
      db.rows(
        pendingRow,
        `SELECT model_name, version FROM remeasurements r JOIN model_versions v USING (model_name, version)
         WHERE r.preprocessing = $1 AND r.measured_at IS NULL AND v.deleted_at IS NULL
         ORDER BY v.stage = 'Production' DESC, v.created_at DESC`,
        [currentPreprocessing],
      ),
    async recordRemeasurement(modelName, version, outcome) {
      const { images, accuracy, failure } = { images: null, accuracy: null, failure: null, ...outcome };
      await db.query(
        `UPDATE remeasurements SET images = $4, accuracy = $5, failure = $6, measured_at = now()
         WHERE model_name = $1 AND version = $2 AND preprocessing = $3 AND measured_at IS NULL`,
        [modelName, version, currentPreprocessing, images, accuracy, failure],
      );
    },
    remeasurement: (modelName, version) =>
      db.row(
        remeasurementRow,
        `SELECT images, accuracy, failure, measured_at FROM remeasurements
         WHERE model_name = $1 AND version = $2 AND preprocessing = $3`,
        [modelName, version, currentPreprocessing],
      ),
  };
}
