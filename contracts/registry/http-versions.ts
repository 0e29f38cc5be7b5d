import { z } from 'zod';
import { outcomes, gateReasonSchema, stages, origins, versionArchitectures } from './registry.js';

/** The record as HTTP shows it: the shapes of `registry.ts`, `training.ts` and `datasets.ts` in snake case. */
const interval = z.tuple([z.number(), z.number()]).describe('95 % bootstrap interval');

export const evaluationViewSchema = z
  .object({
    images: z.number().int(),
    loss: z.number(),
    accuracy: z.number(),
    precision: z.number(),
    recall: z.number(),
    f1: z.number(),
    roc_auc: z.number(),
    calibration_error: z.number(),
    confusion_matrix: z.array(z.array(z.number().int())).describe('rows are true classes, columns predicted ones'),
    per_class: z.array(
      z.object({
        label: z.string(),
        precision: z.number(),
        recall: z.number(),
        f1: z.number(),
        support: z.number().int(),
      }),
    ),
    intervals: z.object({
      loss: interval,
      accuracy: interval,
      precision: interval,
      recall: interval,
      f1: interval,
      roc_auc: interval,
      calibration_error: interval,
    }),
  })
  .meta({ id: 'Evaluation' });
export type EvaluationView = z.infer<typeof evaluationViewSchema>;

export const comparisonViewSchema = z.object({
  production_version: z.string(),
  images: z.number().int(),
  candidate_accuracy: z.number(),
  production_accuracy: z.number(),
  difference: z.number(),
  interval,
  only_candidate_right: z.number().int(),
  only_production_right: z.number().int(),
  mcnemar_p_value: z.number(),
});
export type ComparisonView = z.infer<typeof comparisonViewSchema>;

export const decisionViewSchema = z
  .object({
    outcome: z.enum(outcomes),
    summary: z.string(),
    reasons: z.array(gateReasonSchema),
    comparison: comparisonViewSchema.nullable(),
  })
  .meta({ id: 'Decision' });
export type DecisionView = z.infer<typeof decisionViewSchema>;

export const modelVersionViewSchema = z
  .object({
    model_name: z.string(),
    version: z.string(),
    semantic_version: z.string(),
    stage: z.enum(stages),
    description: z.string(),
    tags: z.record(z.string(), z.string()),
    origin: z.enum(origins),
    run_id: z.string(),
    architecture: z.enum(versionArchitectures),
    labels: z.array(z.string()),
    dataset: z.string(),
    dataset_version: z.number().int(),
    dataset_digest: z.string(),
    bundle_sha256: z.string(),
    size_bytes: z.number().int(),
    metrics: evaluationViewSchema,
    decision: decisionViewSchema.nullable(),
    verified_at: z.iso.datetime().nullable().describe('when the bundle was last checked'),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'ModelVersion' });
export type ModelVersionView = z.infer<typeof modelVersionViewSchema>;
