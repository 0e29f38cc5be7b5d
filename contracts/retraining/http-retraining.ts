import { z } from 'zod';
import { nameSchema } from '../datasets/datasets.js';
import { startRetrainingSchema } from './http-start.js';
import { acceptedSchema } from '../workflows/accepted.js';
import { runStatuses } from '../workflows/runs.js';
import { retrainingResultSchema } from './retraining-pipeline.js';
import { modelNameSchema } from '../registry/registry.js';
import { retrainingKinds, retrainingReasonSchema, skipReasons } from './retraining.js';
import { evaluationViewSchema, decisionViewSchema } from '../registry/http-versions.js';

export const checkRetrainingSchema = z
  .strictObject({ model_name: modelNameSchema.optional() })
  .meta({ id: 'CheckRetraining' });

export const triggerRetrainingSchema = z
  .strictObject({
    dataset: nameSchema.optional(),
    hyperparameters: startRetrainingSchema.shape.hyperparameters
      .unwrap()
      .optional()
      .describe('left away: those of the model in Production'),
    force: z.boolean().default(true).describe('false: only when a check fires and nothing holds it back, else 409'),
  })
  .meta({ id: 'TriggerRetraining' });

export const triggeredRetrainingSchema = acceptedSchema
  .extend({ decision_id: z.string(), reason: z.string() })
  .meta({ id: 'TriggeredRetraining' });

const metricsSchema = z.object({
  production_version: z.string().nullable(),
  test_accuracy: z.number().nullable(),
  production_accuracy: z.number().nullable().describe('by feedback'),
  labelled: z.number().int().describe('predictions of the version with a true label'),
  dataset_version: z.number().int().nullable(),
  new_images: z.number().int(),
  new_share: z.number(),
});

const verdictFields = {
  decision: z.enum(['retrain', 'skip']),
  reason: z.string(),
  skipped_because: z.enum(skipReasons).nullable(),
  reasons: z.array(retrainingReasonSchema),
  metrics: metricsSchema,
};

/** What continuous training would decide now. */
export const retrainingCheckSchema = z
  .object({ model_name: z.string(), dataset: z.string(), should_retrain: z.boolean(), ...verdictFields })
  .meta({ id: 'RetrainingCheck' });

/** A decision on a request to retrain, with what became of it. */
export const decisionViewOfRetrainingSchema = z
  .object({
    id: z.string(),
    model_name: z.string(),
    dataset: z.string(),
    kind: z.enum(retrainingKinds).describe('what asked'),
    trigger: z.string().describe('what the run says started it'),
    requested_by: z.string(),
    ...verdictFields,
    run: z
      .object({
        run_id: z.string(),
        joined: z.boolean(),
        status: z.enum(runStatuses).nullable(),
        outcome: z.string().nullable(),
        detail: z.string().nullable(),
        ended_at: z.iso.datetime().nullable(),
      })
      .nullable(),
    start_error: z.string().nullable(),
    scheduled_for: z.iso.datetime().nullable().describe('the time a schedule meant'),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'RetrainingDecision' });
export type RetrainingDecisionView = z.infer<typeof decisionViewOfRetrainingSchema>;

/** `result` of a retraining that was completed. */
export const retrainingResultViewSchema = z
  .object({
    outcome: retrainingResultSchema.shape.outcome,
    summary: z.string(),
    model_name: z.string(),
    version: z.string(),
    run_id: z.string(),
    dataset: z.string(),
    dataset_version: z.number().int(),
    test: evaluationViewSchema,
    decision: decisionViewSchema,
  })
  .meta({ id: 'RetrainingResult' });
export type RetrainingResultView = z.infer<typeof retrainingResultViewSchema>;
