import { z } from 'zod';
import { variants } from './registry/bundle.js';
import { nameSchema, sourceSchema } from './datasets/datasets.js';
import { abstentionViewSchema } from './registry/http-calibration.js';
import { hyperparametersSchema } from './training/training.js';
import { runStatuses } from './workflows/runs.js';
import { modelNameSchema } from './registry/registry.js';

/** RFC 9457 problem details. `type` is stable for each kind of problem: `/problems/<code>`. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string(),
    trace_id: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    retry_after_seconds: z.number().int().optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof problemSchema>;

export const healthSchema = z
  .object({
    status: z.enum(['ok', 'degraded']),
    model_loaded: z.boolean(),
    model_name: z.string(),
    model_version: z.string().nullable(),
    uptime_seconds: z.number(),
    dependencies: z.record(z.string(), z.object({ status: z.enum(['up', 'down']), detail: z.string().optional() })),
  })
  .meta({ id: 'Health' });

export const predictionSchema = z
  .object({
    prediction: z.string(),
    confidence: z.number(),
    probabilities: z.record(z.string(), z.number()),
    abstained: z.boolean().describe('whether the confidence is too low for the target risk of the model'),
    unfamiliar: z.boolean().describe('whether the picture is unlike anything the model was trained on'),
    distance: z.number().nullable().describe('to the nearest training image in feature space, 0 to 2'),
    model_name: z.string(),
    model_version: z.string(),
    timestamp: z.iso.datetime(),
    prediction_id: z.uuid(),
  })
  .meta({ id: 'Prediction' });

export const invocationsResponseSchema = z.object({ predictions: z.array(z.array(z.number())) });

export const modelInfoSchema = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    stage: z.string(),
    architecture: z.string(),
    labels: z.array(z.string()),
    variant: z.enum(variants).describe('the form of the network that answers'),
    input: z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.number()) }),
    dataset: z.string(),
    dataset_version: z.number().int(),
    run_id: z.string(),
    bundle_sha256: z.string(),
    size_bytes: z.number().int(),
    generation: z.number().int(),
    loaded_at: z.iso.datetime(),
    metrics: z.record(z.string(), z.unknown()),
    calibration: abstentionViewSchema.extend({
      calibration_error: z.number().nullable().describe('on the test side; null for bundles that do not say'),
    }),
  })
  .meta({ id: 'ModelInfo' });

/** Answer to whatever starts a workflow. `joined` tells that a run of the same id was already under way. */
export const acceptedSchema = z
  .object({
    workflow_id: z.string(),
    run_id: z.string(),
    joined: z.boolean(),
    status_url: z.string(),
    temporal_url: z.string().nullable(),
  })
  .meta({ id: 'Accepted' });

export const startIngestionSchema = z
  .strictObject({
    dataset: nameSchema.optional(),
    source: sourceSchema.default({ kind: 'default' }),
  })
  .meta({ id: 'StartIngestion' });

export const startRetrainingSchema = z
  .strictObject({
    model_name: modelNameSchema.optional(),
    dataset: nameSchema.optional(),
    source: sourceSchema.optional(),
    trigger: z.enum(['manual', 'first_run']).default('manual'),
    hyperparameters: z
      .strictObject({
        architecture: hyperparametersSchema.shape.architecture,
        epochs: hyperparametersSchema.shape.epochs,
        batch_size: hyperparametersSchema.shape.batchSize,
        learning_rate: hyperparametersSchema.shape.learningRate,
        weight_decay: hyperparametersSchema.shape.weightDecay,
        early_stopping_patience: hyperparametersSchema.shape.earlyStoppingPatience,
        class_weights: hyperparametersSchema.shape.classWeights,
        seed: hyperparametersSchema.shape.seed,
        filters: hyperparametersSchema.shape.filters,
        fine_tune_blocks: hyperparametersSchema.shape.fineTuneBlocks,
      })
      .prefault({}),
  })
  .meta({ id: 'StartRetraining' });

export const pipelineStepSchema = z.object({
  name: z.string(),
  status: z.enum(['pending', ...runStatuses]),
  detail: z.string().nullable(),
  started_at: z.iso.datetime().nullable(),
  ended_at: z.iso.datetime().nullable(),
});

export const pipelineSchema = z.object({
  id: z.string().describe('the Temporal run id, unique for ever'),
  workflow_id: z.string(),
  workflow: z.string(),
  status: z.enum(runStatuses),
  trigger: z.string(),
  model_name: z.string().nullable(),
  dataset: z.string().nullable(),
  started_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  steps: z.array(pipelineStepSchema),
  result: z.unknown(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  temporal_url: z.string().nullable(),
});

export const pageOf = <T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next_page_token: z.ZodNullable<z.ZodString> }> =>
  z.object({ items: z.array(item), next_page_token: z.string().nullable() });

export const livenessSchema = z.object({ status: z.literal('ok') });
export const readinessSchema = z.object({ status: z.enum(['ready', 'not_ready']), detail: z.string().optional() });
