import { z } from 'zod';
import { labelNumbers } from '../datasets/by-label.js';
import { labelSchema, nameSchema } from '../datasets/datasets.js';
import { labelDecisions, labelReasons, labelStrategies } from './labels.js';

/** The label queue and its decisions, as JSON. */

const modelQuery = { model: nameSchema.optional().describe('default: the served model') };

export const labelQueueQuery = z.object({
  ...modelQuery,
  strategy: z.enum(labelStrategies).default('balanced'),
});

export const labelCandidateViewSchema = z
  .object({
    prediction_id: z.uuid(),
    created_at: z.iso.datetime(),
    model_name: z.string(),
    model_version: z.string(),
    prediction: z.string(),
    confidence: z.number(),
    probabilities: labelNumbers(),
    image_sha256: z.string(),
    input_url: z.string().describe('URL of the image'),
    expires_at: z.iso.datetime().nullable().describe('when the image is deleted unless it is labelled'),
    score: z.number().min(0).max(1).describe('priority: how useful its label would be'),
    uncertainty: z.number().min(0).max(1).describe('entropy of the probabilities relative to its maximum'),
    disagreement: z.number().min(0).max(1),
    reasons: z.array(z.enum(labelReasons)),
  })
  .meta({ id: 'LabelCandidate' });

const labelId = z.string().regex(/^[1-9]\d{0,14}$/, 'the id of a label');

export const decideLabelSchema = z
  .strictObject({
    prediction_id: z.uuid(),
    decision: z.enum(labelDecisions).default('label').describe('skip: cannot be decided; reject: unusable image'),
    label: labelSchema.optional().describe('the class that the image shows'),
    new_class: z.boolean().default(false).describe('the label is not a class of the model'),
    comment: z.string().max(2000).optional(),
    replaces: labelId.optional().describe('id of the corrected label'),
  })
  .refine(({ decision, label }) => (decision === 'label') === (label !== undefined), {
    path: ['label'],
    message: 'send `label` if the decision is “label”, and only then',
  })
  .meta({ id: 'DecideLabel' });

export const labelDecisionViewSchema = z
  .object({
    label_id: labelId,
    prediction_id: z.uuid(),
    model_name: z.string(),
    model_version: z.string(),
    predicted: z.string(),
    decision: z.enum(labelDecisions),
    label: z.string().nullable(),
    new_class: z.boolean(),
    picture_sha256: z.string().nullable().describe('digest of the captured and ingested image; null after erasure'),
    actor: z.string().nullable(),
    comment: z.string().nullable(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'LabelDecision' });

export const labelListQuery = z.object({
  model: nameSchema.optional(),
  decision: z.enum(labelDecisions).optional(),
});

export const ingestLabelsSchema = z
  .strictObject({ model: nameSchema.optional(), dataset: nameSchema.optional() })
  .meta({ id: 'IngestLabels' });
