import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { predictionRecordSchema, type PredictionRecord } from '../../contracts/predictions/predictions.js';
import { timeOfUuid7 } from '../../platform/uuid7.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import type { Page } from '../postgres/page.js';

const predictionRow = predictionRecordSchema.extend({
  createdAt: timestampColumn,
  generation: integerColumn,
  /** Null after erasure. */
  probabilities: predictionRecordSchema.shape.probabilities.nullable(),
  erasedAt: timestampColumn.nullable(),
  /** The true label if known: the decision of the label queue, else the newest feedback. */
  label: z.string().nullable(),
  /** Whether the newest labels of different actors differ and the label queue has no decision. */
  conflicted: z.boolean(),
});
export type StoredPrediction = z.output<typeof predictionRow>;

export interface PredictionQuery {
  limit: number;
  pageToken?: string | null;
  modelName?: string | undefined;
  version?: number | undefined;
  predicted?: string | undefined;
  from?: Date | undefined;
  /** Exclusive. */
  to?: Date | undefined;
  hasFeedback?: boolean | undefined;
}

/** Stored predictions, in monthly partitions. */
export interface PredictionStore {
  /** Adds predictions in one statement; existing ones stay unchanged. */
  add(predictions: readonly PredictionRecord[]): Promise<void>;
  /** Null for an unknown or foreign id. */
  get(id: string): Promise<StoredPrediction | null>;
  /** Newest first. */
  list(query: PredictionQuery): Promise<Page<StoredPrediction>>;
  /** Creates the partitions of this month and the next, unless they exist. */
  makePartitions(now?: Date): Promise<void>;
  /** Removes at most `limit` predictions of a model older than `before`, oldest first; returns their number. */
  removeBefore(modelName: string, before: Date, limit: number): Promise<number>;
}

const columns = 'p.*, l.label, coalesce(l.conflicted, false) AS conflicted';
/** A prediction `p` with its true label `l`. */
const labelled = 'predictions p LEFT JOIN prediction_labels l ON l.prediction_id = p.id';
/**
 * The same for a list of labelled predictions, which starts from the labels because there are fewer. `OFFSET 0` prevents
 * Postgres from joining both tables entirely before it takes the newest.
 */
const onlyLabelled = `prediction_labels l CROSS JOIN LATERAL (
  SELECT * FROM predictions WHERE created_at = l.prediction_created_at AND id = l.prediction_id OFFSET 0) p`;

export function createPredictionStore(db: Database): PredictionStore {
  return {
    add: (predictions) => add(db, predictions),
    get: (id) => readPrediction(db, id),
    list: (query) => list(db, query),
    async makePartitions(now = new Date()) {
      const next = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1));
      for (const moment of [now, next]) await db.query('SELECT make_prediction_partition($1)', [moment]);
    },
    async removeBefore(modelName, before, limit) {
      const removed = await db.query(
        `DELETE FROM predictions WHERE (created_at, id) IN (
           SELECT created_at, id FROM predictions WHERE model_name = $1 AND created_at < $2 ORDER BY created_at LIMIT $3)
           AND created_at < $2
         RETURNING id`,
        [modelName, before, limit],
      );
      return removed.length;
    },
  };
}

/** A prediction by its id, which contains the partition; null for an unknown or foreign id. */
export async function readPrediction(db: Queryable, id: string): Promise<StoredPrediction | null> {
  const createdAt = timeOfUuid7(id);
  if (!createdAt) return null;
  return db.row(predictionRow, `SELECT ${columns} FROM ${labelled} WHERE p.created_at = $1 AND p.id = $2`, [
    createdAt,
    id,
  ]);
}

/** One parameter of JSON, which Postgres takes apart: the driver would write eighteen lists value by value. */
async function add(db: Database, predictions: readonly PredictionRecord[]): Promise<void> {
  if (predictions.length === 0) return;
  await db.query(
    `INSERT INTO predictions (id, created_at, model_name, version, generation, replica, bundle_sha256, predicted,
       confidence, probabilities, image_sha256, latency_ms, route, variant, distance, unfamiliar, neighbour, abstained)
     SELECT * FROM json_to_recordset($1) AS prediction (id uuid, "createdAt" timestamptz, "modelName" text,
       version integer, generation bigint, replica text, "bundleSha256" text, predicted text,
       confidence double precision, probabilities jsonb, "imageSha256" text, "latencyMs" double precision, route text,
       variant text, distance double precision, unfamiliar boolean, neighbour text, abstained boolean)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(predictions.map((prediction) => ({ ...prediction, createdAt: timeOfUuid7(prediction.id) })))],
  );
}

async function list(db: Database, query: PredictionQuery): Promise<Page<StoredPrediction>> {
  const { limit, pageToken = null, modelName, version, predicted, from, to, hasFeedback } = query;
  const before = pageToken === null ? null : timeOfUuid7(pageToken);
  if (pageToken !== null && !before) {
    throw new PerennialError('bad_request', 'The page token is invalid for this list. Start again without it.');
  }
  const [source, at, key] =
    hasFeedback === true
      ? [onlyLabelled, 'l.prediction_created_at', 'l.prediction_id']
      : [labelled, 'p.created_at', 'p.id'];
  const rows = await db.rows(
    predictionRow,
    `SELECT ${columns} FROM ${source}
     WHERE ($2::timestamptz IS NULL OR (${at}, ${key}) < ($2, $3::uuid))
       AND ($4::text IS NULL OR p.model_name = $4) AND ($5::integer IS NULL OR p.version = $5)
       AND ($6::text IS NULL OR p.predicted = $6)
       AND ($7::timestamptz IS NULL OR ${at} >= $7) AND ($8::timestamptz IS NULL OR ${at} < $8)
       ${hasFeedback === false ? 'AND l.prediction_id IS NULL' : ''}
     ORDER BY ${at} DESC, ${key} DESC LIMIT $1`,
    [limit + 1, before, pageToken, modelName ?? null, version ?? null, predicted ?? null, from ?? null, to ?? null],
  );
  const items = rows.slice(0, limit);
  return { items, nextPageToken: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}
