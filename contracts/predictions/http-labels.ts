import { z } from 'zod';
import { labelSchema, nameSchema } from '../datasets/datasets.js';
import { labelDecisions, labelReasons, labelStrategies } from './labels.js';

/** What people are asked to label, and what they said, as HTTP shows it. */

const modelQuery = { model: nameSchema.optional().describe('the model; without it, the one that is served') };

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
    probabilities: z.record(z.string(), z.number()),
    image_sha256: z.string(),
    input_url: z.string().describe('where the picture is'),
    expires_at: z.iso.datetime().nullable().describe('when the picture is removed unless it is labelled'),
    score: z.number().min(0).max(1).describe('the higher, the more its label would tell'),
    uncertainty: z.number().min(0).max(1).describe('entropy of the probabilities, of what it can be'),
    disagreement: z.number().min(0).max(1),
    reasons: z.array(z.enum(labelReasons)),
  })
  .meta({ id: 'LabelCandidate' });

const labelId = z.string().regex(/^[1-9]\d{0,14}$/, 'the id of a label');

export const decideLabelSchema = z
  .strictObject({
    prediction_id: z.uuid(),
    decision: z.enum(labelDecisions).default('label').describe('skip: nobody can tell; reject: of no use'),
    label: labelSchema
      .transform((label) => label.normalize('NFC'))
      .optional()
      .describe('what the picture shows'),
    new_class: z.boolean().default(false).describe('the label is none of the model’s classes'),
    comment: z.string().max(2000).optional(),
    replaces: labelId.optional().describe('the label that this one corrects'),
  })
  .refine(({ decision, label }) => (decision === 'label') === (label !== undefined), {
    path: ['label'],
    message: 'a label goes with the decision “label”, and with no other',
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
    picture_sha256: z
      .string()
      .nullable()
      .describe('of the picture as it is kept, and ingested; null once it was erased'),
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
