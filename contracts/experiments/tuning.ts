import { z } from 'zod';
import { nameSchema } from '../datasets/datasets.js';
import {
  epochMetricsSchema,
  evaluationSchema,
  hyperparametersSchema,
  type Hyperparameters,
} from '../training/training.js';
import { triggerSchema } from '../workflows/runs.js';

const { shape } = hyperparametersSchema;

/** Range of a hyperparameter, sampled log-uniformly. */
const logRange = (value: z.ZodNumber, defaults: { min: number; max: number }): LogRangeSchema =>
  z
    .strictObject({ min: value, max: value })
    .refine(({ min, max }) => min <= max, { path: ['min'], message: 'min is above max' })
    .default(defaults);
type LogRangeSchema = z.ZodDefault<z.ZodObject<{ min: z.ZodNumber; max: z.ZodNumber }, z.core.$strict>>;

/** Values of a hyperparameter, sampled uniformly. */
const choices = <T extends z.ZodType>(value: T): z.ZodArray<T> => z.array(value).min(1).max(50);

/** Search space. */
export const searchSpaceSchema = z.strictObject({
  architecture: choices(shape.architecture.unwrap()).default(['efficientnet-lite0']),
  learningRate: logRange(z.number().positive().max(1), { min: 0.0003, max: 0.03 }),
  weightDecay: logRange(z.number().positive().max(1), { min: 0.00001, max: 0.01 }),
  batchSize: choices(shape.batchSize.unwrap()).default([16, 32, 64]),
  classWeights: choices(shape.classWeights.unwrap()).default([true, false]),
  earlyStoppingPatience: choices(shape.earlyStoppingPatience.unwrap()).default([6]),
  seed: choices(shape.seed.unwrap())
    .default([42])
    .describe('seed of initial weights and data order; one seed makes trials comparable'),
  fineTuneBlocks: choices(z.number().int().min(0).max(16)).default([0]).describe('of `efficientnet-lite0`'),
  filters: choices(shape.filters.unwrap())
    .default([[16, 32, 64]])
    .describe('of `cnn`'),
});
export type SearchSpace = z.infer<typeof searchSpaceSchema>;

/** A search ends after its trials or its minutes, whichever comes first; default 50 trials. */
export const searchBudgetSchema = z
  .strictObject({
    trials: z.number().int().min(1).max(500).optional(),
    minutes: z.number().positive().max(10_080).optional().describe('no new work starts after this time'),
    reductionFactor: z
      .number()
      .int()
      .min(2)
      .max(10)
      .default(3)
      .describe('the best 1/n of the trials continue at each rung'),
    minEpochs: z.number().int().min(1).max(1000).default(3).describe('epochs before the first rung'),
    maxEpochs: z.number().int().min(1).max(1000).default(40).describe('epochs at the last rung'),
    seed: shape.seed.unwrap().default(42).describe('seed of the sampling: the same seed gives the same trials'),
    parallel: z.number().int().min(1).max(32).default(4).describe('concurrent trials'),
  })
  .refine(({ minEpochs, maxEpochs }) => minEpochs <= maxEpochs, {
    path: ['minEpochs'],
    message: 'minEpochs is above maxEpochs',
  });
export type SearchBudget = z.infer<typeof searchBudgetSchema>;

export const tuningInputSchema = z.object({
  modelName: nameSchema,
  dataset: nameSchema,
  trigger: triggerSchema,
  requestId: z.string(),
  space: searchSpaceSchema,
  budget: searchBudgetSchema,
});
export type TuningInput = z.infer<typeof tuningInputSchema>;

/** The hyperparameters of a trial. Numbers start at 1. */
export interface Trial {
  number: number;
  hyperparameters: Hyperparameters;
}

/** A trial training to a rung of its search. `searchId` is the first run id of the search. */
export interface TrialInput {
  searchId: string;
  modelName: string;
  dataset: string;
  datasetVersion: number;
  trial: Trial;
  rung: number;
  /** Total epochs at that rung. */
  epochs: number;
}

/** Validation score of a trial's best weights; all images have equal weight. */
export const trialScoreSchema = z.object({
  epochs: z.number().int().describe('trained epochs; fewer than those of the rung after early stopping'),
  bestEpoch: z.number().int(),
  loss: z.number(),
  accuracy: z.number(),
});
export type TrialScore = z.infer<typeof trialScoreSchema>;

/** Progress of a trial to a rung. */
export const trialProgressSchema = trialScoreSchema.extend({
  trained: z.array(epochMetricsSchema).describe('epochs trained for this rung: those since the last rung, or all'),
  durationMs: z.number(),
});
export type TrialProgress = z.infer<typeof trialProgressSchema>;

/** Artefacts of a search. */
export const searchArtifacts = { chart: 'search.svg', table: 'search.md', data: 'search.json' } as const;

export const trialStatuses = ['running', 'stopped', 'failed', 'finished'] as const;
export type TrialStatus = (typeof trialStatuses)[number];

export const tuningResultSchema = z.object({
  summary: z.string(),
  modelName: z.string(),
  dataset: z.string(),
  datasetVersion: z.number().int(),
  trials: z.number().int(),
  failed: z.number().int(),
  best: z.object({
    number: z.number().int(),
    hyperparameters: hyperparametersSchema,
    loss: z.number(),
    accuracy: z.number(),
  }),
  version: z.number().int(),
  runId: z.string(),
  test: evaluationSchema,
});
export type TuningResult = z.infer<typeof tuningResultSchema>;
