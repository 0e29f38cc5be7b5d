import { z } from 'zod';
import { currentPreprocessing } from '../../contracts/registry/bundle.js';
import {
  remeasurementSchema,
  type Remeasurement,
  type RemeasurementOutcome,
} from '../../contracts/registry/remeasurement.js';
import { timestampColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';

const remeasurementRow = remeasurementSchema.extend({ version: z.number(), measuredAt: timestampColumn.nullable() });

const pendingRow = z.object({ modelName: z.string(), version: z.number() });

/** Versions of an earlier preprocessing, measured again with the current one. */
export interface RemeasurementRecord {
  /** Versions that wait for their measurement: those in Production first, then the newest. */
  pendingRemeasurements(): Promise<z.output<typeof pendingRow>[]>;
  /** Stores the first outcome, and gives the version another revision; further outcomes change nothing. */
  recordRemeasurement(modelName: string, version: number, outcome: RemeasurementOutcome): Promise<void>;
  /** By version; without those that were trained or imported with the current preprocessing. */
  remeasurements(modelName: string, versions: readonly number[]): Promise<Map<number, Remeasurement>>;
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
        `WITH measured AS (UPDATE remeasurements SET images = $4, accuracy = $5, failure = $6, measured_at = now()
           WHERE model_name = $1 AND version = $2 AND preprocessing = $3 AND measured_at IS NULL RETURNING 1)
         UPDATE model_versions SET revision = revision + 1
         WHERE model_name = $1 AND version = $2 AND EXISTS (SELECT FROM measured)`,
        [modelName, version, currentPreprocessing, images, accuracy, failure],
      );
    },
    async remeasurements(modelName, versions) {
      const rows = await db.rows(
        remeasurementRow,
        `SELECT version, preprocessing, images, accuracy, failure, measured_at FROM remeasurements
         WHERE model_name = $1 AND version = ANY($2) AND preprocessing = $3`,
        [modelName, versions, currentPreprocessing],
      );
      return new Map(rows.map(({ version, ...remeasurement }) => [version, remeasurement]));
    },
  };
}
