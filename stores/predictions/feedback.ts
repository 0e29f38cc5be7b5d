import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { ProductionAccuracy } from '../../contracts/predictions/predictions.js';
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
  /** Null after erasure. */
  actor: z.string().nullable(),
  comment: z.string().nullable(),
  /** Whether it differs from the newest label before it. */
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
/** Number of predictions of a version with this predicted and this true label. */
export type ConfusionCount = z.output<typeof confusionRow>;

export interface AccuracyQuery {
  version?: number | undefined;
  /** Predictions at or after this time. */
  from?: Date | undefined;
  /** Predictions before this time. */
  to?: Date | undefined;
}

export type AccuracyRule = (counts: readonly ConfusionCount[]) => ProductionAccuracy;

/** True labels of predictions. All are stored; the newest counts, unless the label queue has a decision. */
export interface FeedbackStore {
  /**
   * Adds a label. Repeating the actor's last label of this prediction adds nothing (`repeated`). Throws `not_found`, and
   * `conflict` for an erased prediction.
   */
  add(
    feedback: { predictionId: string; label: string; comment: string | null },
    by: Actor,
  ): Promise<{ feedback: Feedback; repeated: boolean }>;
  /** All feedback on a prediction, newest first. */
  history(predictionId: string): Promise<Feedback[]>;
  /** Confusion matrix of a model's labelled predictions, by version. */
  confusion(modelName: string, query?: AccuracyQuery): Promise<ConfusionCount[]>;
  /** Accuracy of a model, or of one version, over its labelled predictions. */
  productionAccuracy(modelName: string, query?: AccuracyQuery): Promise<ProductionAccuracy>;
}

/** `accuracyOf` is injected because rules live in the domain. */
export function createFeedbackStore(db: Database, accuracyOf: AccuracyRule): FeedbackStore {
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
      return accuracyOf(await confusion(modelName, query));
    },
  };
}

/** As `FeedbackStore.add`, in a given transaction. */
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
  // Omit the comment: it can be erased, audit rows cannot.
  const audited = { action: 'feedback.add', subject: `predictions/${predictionId}` };
  await writeAudit(tx, { by, ...audited, before: { label: prediction.label }, after: { label, contradicts } });
  return { feedback, repeated: false };
}

/**
 * Locks a prediction for labels, so that "newest" and "repeated" are well defined. Throws `not_found`, and `conflict`
 * for an erased one.
 */
export async function lockForLabels(tx: Queryable, predictionId: string): Promise<StoredPrediction> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`feedback ${predictionId}`]);
  const prediction = await readPrediction(tx, predictionId);
  if (!prediction) throw unknownPrediction(predictionId);
  if (prediction.erasedAt !== null) {
    throw new PerennialError('conflict', `Prediction ${predictionId} was erased on request and cannot be labelled.`);
  }
  return prediction;
}

/** The error for an unknown prediction id. */
export function unknownPrediction(id: string): PerennialError {
  return new PerennialError(
    'not_found',
    `There is no prediction ${id}. Use the prediction_id of the answer to /predict; predictions are deleted after the retention period.`,
  );
}
