import { z } from 'zod';
import { labelNumbers, labelTable } from '../datasets/by-label.js';
import { variants } from '../registry/bundle.js';
import { labelSchema, nameSchema, splits } from '../datasets/datasets.js';
import { versionNumber } from '../http/version-number.js';
import { erasureKinds, predictionRoutes } from './predictions.js';

/** Predictions, feedback and lineage, as JSON. */

export const feedbackViewSchema = z
  .object({
    feedback_id: z.string(),
    prediction_id: z.uuid(),
    model_name: z.string(),
    model_version: z.string(),
    predicted: z.string(),
    label: z.string(),
    correct: z.boolean(),
    contradicts: z.boolean().describe('it differs from the newest label before it'),
    actor: z.string().nullable().describe('null after erasure'),
    comment: z.string().nullable(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'Feedback' });
export type FeedbackView = z.infer<typeof feedbackViewSchema>;

export const giveFeedbackSchema = z
  .strictObject({
    prediction_id: z.uuid(),
    label: labelSchema.describe('the true class, one of the model’s'),
    comment: z.string().max(2000).optional(),
  })
  .meta({ id: 'GiveFeedback' });

export const storedPredictionViewSchema = z
  .object({
    prediction_id: z.uuid(),
    created_at: z.iso.datetime(),
    model_name: z.string(),
    model_version: z.string(),
    generation: z.number().int(),
    replica: z.string(),
    bundle_sha256: z.string(),
    prediction: z.string(),
    confidence: z.number(),
    probabilities: labelNumbers()
      .nullable()
      .meta({ type: ['object', 'null'], additionalProperties: { type: 'number' } })
      .describe('null after erasure'),
    image_sha256: z.string().nullable().describe('digest of the uploaded file; null for tensors and after erasure'),
    latency_ms: z.number(),
    route: z.enum(predictionRoutes),
    variant: z.enum(variants),
    distance: z.number().nullable().describe('Euclidean distance to the nearest training image (unit vectors), 0 to 2'),
    unfamiliar: z.boolean().describe('out-of-distribution: unlike anything the version was trained on'),
    neighbour: z.string().nullable().describe('class of the nearest training image'),
    abstained: z.boolean().describe('too uncertain for the target risk of the model'),
    label: z.string().nullable().describe('the true class if known'),
    conflicted: z
      .boolean()
      .describe('the newest labels of different actors differ and the label queue has no decision'),
    erased_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'StoredPrediction' });
export type StoredPredictionView = z.infer<typeof storedPredictionViewSchema>;

export const capturedInputViewSchema = z
  .object({
    kept: z.literal(true),
    content_type: z.string(),
    size_bytes: z.number().int(),
    expires_at: z.iso.datetime().nullable().describe('null for an image that a dataset needs'),
  })
  .meta({ id: 'KeptInput' });

export const predictionDetailViewSchema = storedPredictionViewSchema
  .extend({
    feedback: z.array(feedbackViewSchema).describe('newest first; the newest counts'),
    input: capturedInputViewSchema.nullable().describe('the captured image, while it is stored'),
  })
  .meta({ id: 'PredictionDetail' });

export const giveFeedbackBatchSchema = z
  .strictObject({ feedback: z.array(giveFeedbackSchema).min(1).max(1000) })
  .meta({ id: 'GiveFeedbackBatch' });

export const feedbackBatchViewSchema = z
  .object({
    added: z.number().int(),
    repeated: z.number().int(),
    failed: z.number().int(),
    results: z
      .array(
        z.object({
          prediction_id: z.uuid(),
          result: z.enum(['added', 'repeated', 'failed']),
          code: z.string().nullable().describe('problem code'),
          detail: z.string().nullable(),
        }),
      )
      .describe('in the order of the request'),
  })
  .meta({ id: 'FeedbackBatch' });

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

/** A time range of a list. */
export const periodQuery = z.object({
  from: moment.optional().describe('predictions at or after this time'),
  to: moment.optional().describe('predictions before this time'),
});

export const predictionQuery = periodQuery.extend({
  model: nameSchema.optional(),
  version: versionNumber.optional(),
  label: labelSchema.optional().describe('the predicted class'),
  has_feedback: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional(),
});

const accuracyShape = {
  labelled: z.number().int(),
  correct: z.number().int(),
  accuracy: z.number().nullable().describe('null without labels'),
  interval: z.array(z.number()).min(2).max(2).nullable().describe('95 % Wilson interval'),
};

export const productionAccuracyViewSchema = z
  .object({
    model_name: z.string(),
    ...accuracyShape,
    versions: z.array(
      z.object({
        version: z.string(),
        ...accuracyShape,
        confusion: labelTable().describe('predictions by true class, then by predicted class'),
      }),
    ),
  })
  .meta({ id: 'ProductionAccuracy' });
export type ProductionAccuracyView = z.infer<typeof productionAccuracyViewSchema>;

export const lineageKinds = [
  'prediction',
  'model_version',
  'bundle',
  'training_run',
  'workflow',
  'code',
  'dataset_version',
  'images',
  'feature_file',
  'promotion',
  'approval',
] as const;

/** `recorded`: stored, not verified. `failed`: missing, or different from what is stored. */
export const edgeStates = ['recorded', 'verified', 'failed', 'erased'] as const;

export const lineageNodeSchema = z.object({
  id: z.string(),
  kind: z.enum(lineageKinds),
  name: z.string(),
  erased: z.boolean(),
  attributes: z.record(z.string(), z.unknown()),
});
export type LineageNode = z.infer<typeof lineageNodeSchema>;

export const lineageEdgeSchema = z.object({
  from: z.string(),
  to: z.string(),
  relation: z.string(),
  state: z.enum(edgeStates),
  detail: z.string().nullable(),
  figures: z.record(z.string(), z.number()).describe('numbers of checked and failed items'),
});
export type LineageEdge = z.infer<typeof lineageEdgeSchema>;

export const lineageViewSchema = z
  .object({
    prediction_id: z.uuid(),
    verified: z.boolean().describe('whether the edges were verified now, and none failed'),
    nodes: z.array(lineageNodeSchema),
    edges: z.array(lineageEdgeSchema),
  })
  .meta({ id: 'Lineage' });

export const lineageQuery = z.object({
  verify: z
    .enum(['false', 'true', 'full'])
    .default('false')
    .describe('true checks every edge, of the images a sample; full checks all images'),
});

export const lineageImageViewSchema = z
  .object({
    sha256: z.string(),
    label: z.string(),
    side: z.enum(splits),
    object_key: z.string(),
    prediction_id: z
      .uuid()
      .nullable()
      .describe('the prediction that the image was captured from, if it was ingested by its label'),
    erased_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'LineageImage' });

const erasureReason = z.string().trim().min(1).max(1000).describe('stored with the tombstone');
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in lower-case hexadecimal digits');

export const requestErasureSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('prediction'), id: z.uuid().toLowerCase(), reason: erasureReason }),
    z.strictObject({ kind: z.literal('image'), id: sha256Hex, reason: erasureReason }),
    z.strictObject({ kind: z.literal('dataset'), id: nameSchema, reason: erasureReason }),
    z.strictObject({ kind: z.literal('model'), id: nameSchema, reason: erasureReason }),
  ])
  .meta({ id: 'RequestErasure' });

export const erasureViewSchema = z
  .object({
    erasure_id: z.string(),
    kind: z.enum(erasureKinds),
    id: z.string(),
    reason: z.string(),
    actor: z.string(),
    counts: z.record(z.string(), z.number().int()).describe('numbers of erased items'),
    status: z.enum(['pending', 'done']),
    pending_objects: z.number().int().describe('objects still to be deleted'),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'Erasure' });

export const deletedDatasetVersionSchema = z
  .object({ dataset: z.string(), version: z.number().int(), digest: z.string() })
  .meta({ id: 'DeletedDatasetVersion' });
