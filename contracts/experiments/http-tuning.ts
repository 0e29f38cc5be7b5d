import { z } from 'zod';
import { nameSchema } from '../datasets/datasets.js';
import { snakeShape } from '../http/snake-shape.js';
import { modelNameSchema } from '../registry/registry.js';
import { runStatuses } from '../workflows/runs.js';
import { architectureSchema } from '../training/training.js';
import { searchBudgetSchema, searchSpaceSchema, trialStatuses } from './tuning.js';

/** Searches, as JSON. */

const spaceViewSchema = snakeShape(searchSpaceSchema);
const budgetViewSchema = snakeShape(z.strictObject(searchBudgetSchema.shape));

export const startTuningSchema = z
  .strictObject({
    model_name: modelNameSchema.optional(),
    dataset: nameSchema.optional(),
    space: spaceViewSchema.prefault({}).describe('search space; ranges are sampled log-uniformly'),
    budget: budgetViewSchema
      .refine(({ min_epochs, max_epochs }) => min_epochs <= max_epochs, {
        path: ['min_epochs'],
        message: 'min_epochs is above max_epochs',
      })
      .prefault({})
      .describe('trials or minutes, whichever ends first; 50 trials without either'),
  })
  .meta({ id: 'StartTuning' });

const hyperparametersViewSchema = z.object({
  architecture: architectureSchema,
  epochs: z.number().int(),
  batch_size: z.number().int(),
  learning_rate: z.number(),
  weight_decay: z.number(),
  early_stopping_patience: z.number().int(),
  class_weights: z.boolean(),
  seed: z.number().int(),
  filters: z.array(z.number().int()),
  fine_tune_blocks: z.number().int(),
});

const failureSchema = z.object({ code: z.string(), message: z.string() }).nullable();

const scoreViewSchema = z.object({
  rung: z.number().int(),
  epochs: z.number().int(),
  best_epoch: z.number().int(),
  loss: z.number().describe('validation loss of the best weights so far'),
  accuracy: z.number(),
});

export const trialViewSchema = z
  .object({
    number: z.number().int(),
    run_id: z.string().describe('run id of the trial'),
    status: z.enum(trialStatuses),
    hyperparameters: hyperparametersViewSchema,
    rungs: z.array(scoreViewSchema),
    error: failureSchema,
  })
  .meta({ id: 'Trial' });

export const searchSummaryViewSchema = z
  .object({
    run_id: z.string().describe('run id of its workflow; GET /api/v1/pipelines/{run_id} has its steps'),
    model_name: z.string(),
    dataset: z.string(),
    dataset_version: z.number().int(),
    status: z.enum(runStatuses),
    trigger: z.string(),
    budget: budgetViewSchema,
    used: z.object({
      trials: z.number().int(),
      of_trials: z.number().int(),
      epochs: z.number().int(),
      seconds: z.number(),
    }),
    best_trial: z.number().int().nullable(),
    trained_run_id: z.string().nullable(),
    version: z.string().nullable().describe('the version from the full training of the best trial'),
    error: failureSchema,
    started_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
    chart_url: z.string(),
    table_url: z.string(),
  })
  .meta({ id: 'SearchSummary' });

export const searchViewSchema = searchSummaryViewSchema
  .extend({ space: spaceViewSchema, best: trialViewSchema.nullable(), trials: z.array(trialViewSchema) })
  .meta({ id: 'Search' });

/** `result` of a completed search. */
export const tuningResultViewSchema = z
  .object({
    summary: z.string(),
    model_name: z.string(),
    dataset: z.string(),
    dataset_version: z.number().int(),
    trials: z.number().int(),
    failed: z.number().int(),
    best: z.object({
      number: z.number().int(),
      hyperparameters: hyperparametersViewSchema,
      loss: z.number(),
      accuracy: z.number(),
    }),
    version: z.string(),
    run_id: z.string(),
    test_accuracy: z.number(),
  })
  .meta({ id: 'TuningResult' });
export type TuningResultView = z.infer<typeof tuningResultViewSchema>;
