import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import { labelDecisions, type LabelDecisionKind } from '../../contracts/predictions/labels.js';
import { predictionRecordSchema } from '../../contracts/predictions/predictions.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { addFeedback, lockForLabels } from './feedback.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';
import type { StoredPrediction } from './predictions.js';

const decisionRow = z.object({
  id: integerColumn,
  predictionId: z.string(),
  modelName: z.string(),
  version: z.number(),
  predicted: z.string(),
  decision: z.enum(labelDecisions),
  label: z.string().nullable(),
  newClass: z.boolean(),
  /** SHA-256 of the captured image; null after erasure, like the actor. */
  contentSha256: z.string().nullable(),
  actor: z.string().nullable(),
  comment: z.string().nullable(),
  createdAt: timestampColumn,
});
export type LabelDecision = z.output<typeof decisionRow>;

const candidateRow = predictionRecordSchema
  .pick({
    id: true,
    modelName: true,
    version: true,
    predicted: true,
    confidence: true,
    distance: true,
    unfamiliar: true,
    neighbour: true,
    abstained: true,
  })
  .extend({
    createdAt: timestampColumn,
    probabilities: predictionRecordSchema.shape.probabilities,
    imageSha256: z.string(),
    expiresAt: timestampColumn.nullable(),
    conflicted: z.boolean(),
    /** Classes that versions of the model predicted for the same file. */
    answers: z.array(z.string()),
  });
/** A prediction without a label, with the inputs of its priority. */
export type LabelCandidate = z.output<typeof candidateRow>;

export interface DecideLabel {
  predictionId: string;
  decision: LabelDecisionKind;
  label: string | null;
  newClass: boolean;
  comment: string | null;
  /** Id of the corrected decision; null for the first. */
  replaces: number | null;
}

const acceptedRow = z.object({ predictionId: z.string(), label: z.string(), objectKey: z.string() });
/** An image with its label. */
export type AcceptedLabel = z.output<typeof acceptedRow>;

/** The label queue and its decisions. */
export interface LabelStore {
  /**
   * Predictions of a model with a captured image and no label or conflicting labels: the newest of each image, at most
   * `window`.
   */
  candidates(modelName: string, window: number): Promise<LabelCandidate[]>;
  /**
   * Records a decision on an image; a label among the classes is stored as feedback too. Repeating it changes nothing
   * (`repeated`). Throws `not_found`, and `conflict` if another person has decided, if the image is not stored, or if the
   * prediction was erased.
   */
  decide(decision: DecideLabel, by: Actor): Promise<{ decision: LabelDecision; repeated: boolean }>;
  /** Newest first. */
  list(query: {
    limit: number;
    pageToken?: string | null;
    modelName?: string | undefined;
    decision?: LabelDecisionKind | undefined;
  }): Promise<Page<LabelDecision>>;
  /** The labelled images of a model, each once, with its newest label. */
  accepted(modelName: string): Promise<AcceptedLabel[]>;
}

export function createLabelStore(db: Database): LabelStore {
  return {
    candidates: (modelName, window) => db.rows(candidateRow, candidateSql, [modelName, window]),
    decide: (decision, by) => db.transaction((tx) => decide(tx, decision, by)),
    async list({ limit, pageToken, modelName, decision }) {
      const rows = await db.rows(
        decisionRow,
        `SELECT * FROM label_decisions WHERE ($2::bigint IS NULL OR id < $2) AND ($3::text IS NULL OR model_name = $3)
           AND ($4::text IS NULL OR decision = $4) ORDER BY id DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken), modelName ?? null, decision ?? null],
      );
      return pageBy(rows, limit, ({ id }) => id);
    },
    accepted: (modelName) =>
      db.rows(
        acceptedRow,
        `SELECT i.prediction_id, newest.label, i.object_key FROM (
           SELECT DISTINCT ON (content_sha256) prediction_id, decision, label FROM label_decisions
           WHERE model_name = $1 AND content_sha256 IS NOT NULL ORDER BY content_sha256, id DESC) newest
         JOIN prediction_inputs i USING (prediction_id) WHERE newest.decision = 'label' ORDER BY i.prediction_id`,
        [modelName],
      ),
  };
}

const candidateSql = `
  WITH open AS (
    SELECT i.prediction_id, i.created_at, i.image_sha256, i.expires_at, EXISTS (
        SELECT FROM prediction_labels l WHERE l.prediction_id = i.prediction_id) AS conflicted
    FROM prediction_inputs i
    WHERE i.model_name = $1 AND i.decided_at IS NULL AND (i.expires_at IS NULL OR i.expires_at > now())
      -- A subquery for each instead of a join: it ends as soon as there are enough, the newest first.
      AND coalesce((SELECT l.conflicted FROM prediction_labels l WHERE l.prediction_id = i.prediction_id), true)
    ORDER BY i.created_at DESC, i.prediction_id DESC LIMIT $2),
  pictures AS (
    SELECT DISTINCT ON (image_sha256) * FROM open ORDER BY image_sha256, conflicted DESC, created_at DESC)
  SELECT p.*, o.expires_at, o.conflicted,
    ARRAY(SELECT DISTINCT same.predicted FROM predictions same
      WHERE same.image_sha256 = o.image_sha256 AND same.model_name = $1) AS answers
  FROM pictures o JOIN predictions p ON p.created_at = o.created_at AND p.id = o.prediction_id
  WHERE p.erased_at IS NULL AND p.image_sha256 IS NOT NULL AND p.probabilities IS NOT NULL`;

async function decide(
  tx: Queryable,
  asked: DecideLabel,
  by: Actor,
): Promise<{ decision: LabelDecision; repeated: boolean }> {
  const { predictionId, decision, label, newClass } = asked;
  const prediction = await lockForLabels(tx, predictionId);
  const former = await tx.row(
    decisionRow,
    'SELECT * FROM label_decisions WHERE prediction_id = $1 ORDER BY id DESC LIMIT 1',
    [predictionId],
  );
  if (former?.decision === decision && former.label === label) return { decision: former, repeated: true };
  if (former) refuseUnlessReplacing(former, asked.replaces);
  await holdInput(tx, prediction, decision);
  const decided = await insertDecision(tx, prediction, asked, by);
  if (decision === 'label' && label !== null && !newClass) {
    await addFeedback(tx, { predictionId, label, comment: asked.comment }, by);
  }
  await writeAudit(tx, {
    by,
    action: 'label.decide',
    subject: `predictions/${predictionId}`,
    before: former && { decision: former.decision, label: former.label },
    after: { decision, label },
  });
  return { decision: decided, repeated: false };
}

/** If two people see the same image, the second one gets `conflict` and can correct the decision after reading it. */
function refuseUnlessReplacing(former: LabelDecision, replaces: number | null): void {
  if (former.id === replaces) return;
  const said = former.label === null ? former.decision : `${former.decision} “${former.label}”`;
  throw new PerennialError(
    'conflict',
    `${former.actor ?? 'An erased actor'} has decided on prediction ${former.predictionId}: ${said}. To correct it, send replaces: "${former.id}".`,
  );
}

/** A labelled image no longer expires, because the dataset needs it; others leave the queue and expire. */
async function holdInput(
  tx: Queryable,
  { id, modelName }: StoredPrediction,
  decision: LabelDecisionKind,
): Promise<void> {
  // Lock them in one order: decisions on other predictions of the same image wait, and no deadlock is possible.
  await tx.query(
    `SELECT FROM prediction_inputs WHERE model_name = $2
       AND content_sha256 = (SELECT content_sha256 FROM prediction_inputs WHERE prediction_id = $1)
     ORDER BY prediction_id FOR UPDATE`,
    [id, modelName],
  );
  const [expiry, parameters] =
    decision === 'label' ? ['NULL', [id]] : [`coalesce(expires_at, now() + interval '1 day')`, [id]];
  const held = await tx.rows(
    z.object({ contentSha256: z.string() }),
    `UPDATE prediction_inputs SET expires_at = ${expiry}, decided_at = now()
     WHERE prediction_id = $1 AND (expires_at IS NULL OR expires_at > now()) RETURNING content_sha256`,
    parameters,
  );
  const [input] = held;
  if (!input) {
    throw new PerennialError(
      'conflict',
      `The image of prediction ${id} is not stored, so it cannot be reviewed. If you know its label, send it to /feedback.`,
    );
  }
  await tx.query(
    `UPDATE prediction_inputs SET decided_at = now()
     WHERE content_sha256 = $1 AND model_name = $2 AND decided_at IS NULL`,
    [input.contentSha256, modelName],
  );
}

async function insertDecision(
  tx: Queryable,
  prediction: StoredPrediction,
  { decision, label, newClass, comment }: DecideLabel,
  by: Actor,
): Promise<LabelDecision> {
  const row = await tx.row(
    decisionRow,
    `INSERT INTO label_decisions (prediction_id, prediction_created_at, model_name, version, predicted, decision, label,
       new_class, actor, comment, image_sha256, content_sha256)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, image_sha256, content_sha256
     FROM prediction_inputs WHERE prediction_id = $1 RETURNING *`,
    [
      prediction.id,
      prediction.createdAt,
      prediction.modelName,
      prediction.version,
      prediction.predicted,
      decision,
      label,
      newClass,
      by.name,
      comment,
    ],
  );
  if (row) return row;
  throw new PerennialError('internal', `The decision on prediction ${prediction.id} could not be added.`);
}
