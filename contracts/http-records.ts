import { z } from 'zod';
import { batchResultViewSchema } from './batch-predictions/http-batch-predictions.js';
import { datasetStatisticsSchema, quarantineReasons } from './datasets/datasets.js';
import { acceptedSchema, pipelineSchema } from './http.js';
import { tuningResultViewSchema } from './experiments/http-tuning.js';
import { promotionOutcomes, retrainingResultSchema } from './workflows/runs.js';
import { retentionResultViewSchema } from './retraining/http-schedules.js';
import { gateReasonSchema, origins, outcomes, stages, versionArchitectures } from './registry/registry.js';

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

const statisticsViewSchema = datasetStatisticsSchema
  .omit({ imbalanceRatio: true })
  .extend({ imbalance_ratio: datasetStatisticsSchema.shape.imbalanceRatio });
export type StatisticsView = z.infer<typeof statisticsViewSchema>;

export const datasetSummaryViewSchema = z
  .object({
    name: z.string(),
    current_version: z.number().int().nullable().describe('null until the first ingestion is done'),
    versions: z.number().int(),
    images: z.number().int(),
    classes: z.record(z.string(), z.number().int()),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'DatasetSummary' });

const sourceReferenceSchema = z.object({ kind: z.string(), locator: z.string() });

export const datasetViewSchema = datasetSummaryViewSchema
  .extend({
    sources: z.array(sourceReferenceSchema.extend({ scanned_at: z.iso.datetime() })),
    history: z.array(z.object({ version: z.number().int(), digest: z.string(), created_at: z.iso.datetime() })),
  })
  .meta({ id: 'Dataset' });

export const datasetVersionViewSchema = z
  .object({
    dataset: z.string(),
    version: z.number().int(),
    digest: z.string(),
    dvc_md5: z.string(),
    created_at: z.iso.datetime(),
    statistics: statisticsViewSchema,
    sources: z.array(sourceReferenceSchema),
    quarantined: z
      .array(
        z.object({
          source: z.string(),
          path: z.string(),
          reason: z.enum(quarantineReasons),
          detail: z.string().nullable(),
        }),
      )
      .describe('files that were refused; the first thousand'),
    conflicts: z
      .array(z.object({ sha256: z.string(), labels: z.array(z.string()), paths: z.array(z.string()) }))
      .describe('images excluded because they appear under two labels; the first thousand'),
  })
  .meta({ id: 'DatasetVersion' });

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

/** `result` of an ingestion that was completed. */
export const ingestionResultViewSchema = z
  .object({
    dataset: z.string(),
    version: z.number().int(),
    digest: z.string(),
    is_new_version: z.boolean(),
    files: z.number().int(),
    new_images: z.number().int(),
    uploaded_bytes: z.number().int(),
    duplicates: z.number().int(),
    quarantined: z.number().int(),
    conflicts: z.number().int(),
    statistics: statisticsViewSchema,
    note: z.string().nullable(),
  })
  .meta({ id: 'IngestionResult' });
export type IngestionResultView = z.infer<typeof ingestionResultViewSchema>;

/** `result` of an import that was completed. */
const importResultViewSchema = z
  .object({
    model_name: z.string(),
    version: z.string(),
    is_new_version: z.boolean(),
    run_id: z.string(),
    dataset: z.string(),
    dataset_version: z.number().int(),
    test: evaluationViewSchema,
    notes: z.array(z.string()).describe('what was adapted, and what to know'),
  })
  .meta({ id: 'ImportResult' });
export type ImportResultView = z.infer<typeof importResultViewSchema>;

/** `result` of a promotion by hand that has ended, however it did. */
export const promotionResultViewSchema = z
  .object({
    outcome: z.enum(promotionOutcomes),
    detail: z.string(),
    version: z.string(),
    former_version: z.string().nullable(),
    generation: z.number().int().nullable(),
    replicas: z.array(z.string()),
  })
  .meta({ id: 'PromotionResult' });
export type PromotionResultView = z.infer<typeof promotionResultViewSchema>;

/** A run of a workflow with the result its workflow gives. */
export const pipelineViewSchema = pipelineSchema
  .extend({
    result: z
      .union([
        retrainingResultViewSchema,
        ingestionResultViewSchema,
        tuningResultViewSchema,
        importResultViewSchema,
        promotionResultViewSchema,
        decisionViewSchema,
        retentionResultViewSchema,
        batchResultViewSchema,
      ])
      .nullable(),
  })
  .meta({ id: 'Pipeline' });

/** Answer to an upload: what was taken in, and the ingestion that judges it. */
export const uploadAcceptedSchema = acceptedSchema
  .extend({
    upload_id: z.uuid(),
    files: z.number().int(),
    bytes: z.number().int(),
  })
  .meta({ id: 'UploadAccepted' });
