import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { readPrediction, type StoredPrediction } from './predictions.js';

const feedbackRow = z.object({
  id: integerColumn,
  predictionId: z.string(),
  modelName: z.string(),
  version: z.number(),
  predicted: z.string(),
  label: z.string(),
  /** Null once it was erased. */
  actor: z.string().nullable(),
  comment: z.string().nullable(),
  /** Whether the newest label before it was another one. */
  contradicts: z.boolean(),
  createdAt: timestampColumn,
});
export type Feedback = z.output<typeof feedbackRow>;

const confusionRow = z.object({
  version: z.number(),
  label: z.string(),
  predicted: z.string(),
  predictions: integerColumn,
});
/** How many predictions of a version were `predicted` and are `label`. */
export type ConfusionCount = z.output<typeof confusionRow>;

export interface AccuracyQuery {
  version?: number | undefined;
  /** Of predictions made from then on. */
  from?: Date | undefined;
  /** Of predictions made before. */
  to?: Date | undefined;
}

export interface ProductionAccuracy {
  labelled: number;
  correct: number;
  /** Null without labels, as is the interval. */
  accuracy: number | null;
  interval: [number, number] | null;
}

/** 95 % interval of a share; null without trials. */
export type Interval = (successes: number, trials: number) => [number, number] | null;

/** True labels of predictions. All are kept; the newest of a prediction counts, unless the queue has decided. */
export interface FeedbackStore {
  /**
   * Adds a label. The one that the same actor sent last for this prediction is not added again: `repeated` tells so.
   * Throws `not_found`, and `conflict` for a prediction that was erased.
   */
  add(
    feedback: { predictionId: string; label: string; comment: string | null },
    by: Actor,
  ): Promise<{ feedback: Feedback; repeated: boolean }>;
  /** Everything that was said about a prediction, newest first. */
  history(predictionId: string): Promise<Feedback[]>;
  /** Labelled predictions of a model by version, true label and predicted one. */
  confusion(modelName: string, query?: AccuracyQuery): Promise<ConfusionCount[]>;
  /** How often a model, or one version of it, was right, as far as labels tell. */
  productionAccuracy(modelName: string, query?: AccuracyQuery): Promise<ProductionAccuracy>;
}

/** `interval` is a rule and comes from the domain. */
export function createFeedbackStore(db: Database, interval: Interval): FeedbackStore {
  const confusion = (modelName: string, query: AccuracyQuery = {}): Promise<ConfusionCount[]> => {
    const { version = null, from = null, to = null } = query;
    const order = 'ORDER BY version DESC, label, predicted';
    if (from === null && to === null) {
      return db.rows(
        confusionRow,
        `SELECT version, label, predicted, predictions FROM label_counts
         WHERE model_name = $1 AND ($2::integer IS NULL OR version = $2) AND predictions > 0 ${order}`,
        [modelName, version],
      );
    }
    return db.rows(
      confusionRow,
      `SELECT version, label, predicted, count(*) AS predictions FROM prediction_labels
       WHERE model_name = $1 AND ($2::integer IS NULL OR version = $2)
         AND ($3::timestamptz IS NULL OR prediction_created_at >= $3)
         AND ($4::timestamptz IS NULL OR prediction_created_at < $4)
       GROUP BY version, label, predicted ${order}`,
      [modelName, version, from, to],
    );
  };
  return {
    add: (feedback, by) => db.transaction((tx) => addFeedback(tx, feedback, by)),
    history: (predictionId) =>
      db.rows(feedbackRow, 'SELECT * FROM feedback WHERE prediction_id = $1 ORDER BY id DESC', [predictionId]),
    confusion,
    async productionAccuracy(modelName, query) {
      return accuracyOf(await confusion(modelName, query), interval);
    },
  };
}

/** The accuracy that counts of labelled predictions amount to. */
export function accuracyOf(counts: readonly ConfusionCount[], interval: Interval): ProductionAccuracy {
  const sum = (rows: readonly ConfusionCount[]): number => rows.reduce((total, row) => total + row.predictions, 0);
  const labelled = sum(counts);
  const correct = sum(counts.filter(({ label, predicted }) => label === predicted));
  return {
    labelled,
    correct,
    accuracy: labelled === 0 ? null : correct / labelled,
    interval: interval(correct, labelled),
  };
}

/** As `FeedbackStore.add`, within a transaction of something larger. */
export async function addFeedback(
  tx: Queryable,
  { predictionId, label, comment }: { predictionId: string; label: string; comment: string | null },
  by: Actor,
): Promise<{ feedback: Feedback; repeated: boolean }> {
  const prediction = await lockForLabels(tx, predictionId);
  const former = await tx.row(
    feedbackRow,
    'SELECT * FROM feedback WHERE prediction_id = $1 AND actor = $2 ORDER BY id DESC LIMIT 1',
    [predictionId, by.name],
  );
  if (former?.label === label) return { feedback: former, repeated: true };
  const contradicts = prediction.label !== null && prediction.label !== label;
  const [feedback] = await tx.rows(
    feedbackRow,
    `INSERT INTO feedback (prediction_id, prediction_created_at, model_name, version, predicted, label, actor, comment, contradicts)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *`,
    [
      predictionId,
      prediction.createdAt,
      prediction.modelName,
      prediction.version,
      prediction.predicted,
      label,
      by.name,
      comment,
      contradicts,
    ],
  );
  if (!feedback) throw new PerennialError('internal', `The label of prediction ${predictionId} could not be added.`);
  // Without the comment: words about a picture can be erased, rows of the audit cannot.
  const audited = { action: 'feedback.add', subject: `predictions/${predictionId}` };
  await writeAudit(tx, { by, ...audited, before: { label: prediction.label }, after: { label, contradicts } });
  return { feedback, repeated: false };
}

/**
 * A prediction that takes labels, one after the other until the transaction ends, so that "newest" and "again" mean the
 * same to all. Throws `not_found`, and `conflict` for one that was erased.
 */
export async function lockForLabels(tx: Queryable, predictionId: string): Promise<StoredPrediction> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`feedback ${predictionId}`]);
  const prediction = await readPrediction(tx, predictionId);
  if (!prediction) throw unknownPrediction(predictionId);
  if (prediction.erasedAt !== null) {
    throw new PerennialError('conflict', `Prediction ${predictionId} was erased on request; it takes no labels.`);
  }
  return prediction;
}

/** What an id gets that no prediction has. */
export function unknownPrediction(id: string): PerennialError {
  return new PerennialError(
    'not_found',
    `There is no prediction ${id}. Use the prediction_id that /predict answered with; old ones are removed in time.`,
  );
}
