import { z } from 'zod';
import { nameSchema } from '../datasets/datasets.js';
import { snakeShape } from '../http/snake-shape.js';
import { hyperparametersBodySchema } from './http-start.js';
import { acceptedSchema } from '../workflows/accepted.js';
import { runStatuses } from '../workflows/runs.js';
import { retrainingResultSchema } from './retraining-pipeline.js';
import { modelNameSchema } from '../registry/registry.js';
import { retrainingKinds, retrainingMetricsSchema, retrainingReasonSchema, skipReasons } from './retraining.js';
import { evaluationViewSchema, decisionViewSchema } from '../registry/http-versions.js';

export const checkRetrainingSchema = z
  .strictObject({ model_name: modelNameSchema.optional() })
  .meta({ id: 'CheckRetraining' });

export const triggerRetrainingSchema = z
  .strictObject({
    dataset: nameSchema.optional(),
    hyperparameters: hyperparametersBodySchema.optional().describe('default: those of the model in Production'),
    force: z.boolean().default(true).describe('false: only if a check demands it and nothing prevents it, else 409'),
  })
  .meta({ id: 'TriggerRetraining' });

export const triggeredRetrainingSchema = acceptedSchema
  .extend({ decision_id: z.string(), reason: z.string() })
  .meta({ id: 'TriggeredRetraining' });

const metricsSchema = snakeShape(retrainingMetricsSchema).extend({ production_version: z.string().nullable() });

const verdictFields = {
  decision: z.enum(['retrain', 'skip']),
  reason: z.string(),
  skipped_because: z.enum(skipReasons).nullable(),
  reasons: z.array(retrainingReasonSchema),
  metrics: metricsSchema,
};

/** The decision that continuous training would take now. */
export const retrainingCheckSchema = z
  .object({ model_name: z.string(), dataset: z.string(), should_retrain: z.boolean(), ...verdictFields })
  .meta({ id: 'RetrainingCheck' });

/** A retraining decision with its outcome. */
export const decisionViewOfRetrainingSchema = z
  .object({
    id: z.string(),
    model_name: z.string(),
    dataset: z.string(),
    kind: z.enum(retrainingKinds).describe('kind of the request'),
    trigger: z.string().describe('trigger of the run'),
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
    scheduled_for: z.iso.datetime().nullable().describe('nominal time of the schedule'),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'RetrainingDecision' });
export type RetrainingDecisionView = z.infer<typeof decisionViewOfRetrainingSchema>;

/** `result` of a completed retraining. */
export const retrainingResultViewSchema = snakeShape(retrainingResultSchema)
  .extend({ version: z.string(), test: evaluationViewSchema, decision: decisionViewSchema })
  .meta({ id: 'RetrainingResult' });
export type RetrainingResultView = z.infer<typeof retrainingResultViewSchema>;
