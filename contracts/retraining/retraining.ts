import { z } from 'zod';
import type { Actor } from '../audit/audit.js';
import type { DatasetStatistics } from '../datasets/datasets.js';
import type { triggerSchema } from '../workflows/runs.js';
import type { RetrainingPolicy } from '../promotion/policy.js';
import type { Hyperparameters } from '../training/training.js';

/** Kinds of retraining requests, each with its rules. The last two are schedules. */
export const retrainingKinds = ['manual', 'mlops_retraining_pipeline', 'continuous_training'] as const;
export type RetrainingKind = (typeof retrainingKinds)[number];

/** Input of `requestRetraining`. */
export interface RetrainingRequest {
  modelName: string;
  /** Null is the dataset of the model in Production. */
  dataset: string | null;
  kind: RetrainingKind;
  trigger: z.infer<typeof triggerSchema>;
  /** The same id gets the same decision; null uses the id of the requesting run. */
  requestId: string | null;
}

/** State of a model and its data, as input of the checks. */
export interface RetrainingInputs {
  policy: RetrainingPolicy;
  dataset: string;
  /** `hyperparameters` of its training; null for an imported model. */
  production: { version: number; testAccuracy: number; hyperparameters: Hyperparameters | null } | null;
  /** Labelled predictions of the version in Production; accuracy and interval are null without any. */
  feedback: { labelled: number; accuracy: number | null; interval: readonly [number, number] | null };
  /** The newest version of the dataset; null if it has none. */
  data: {
    datasetVersion: number;
    images: number;
    newImages: number;
    newShare: number;
    statistics: DatasetStatistics;
  } | null;
}

/** Running and last retrainings, read under the lock of the decision. */
export interface RetrainingState {
  /** The running retraining; its id is null until it has one. */
  running: { runId: string | null } | null;
  awaitingApproval: boolean;
  /** Whether a person took the model out of service. */
  retired: boolean;
  /** The newest automatic retraining. `outcome` is null while it is running. */
  lastAutomatic: {
    minutesAgo: number;
    outcome: string | null;
    dataset: string;
    datasetVersion: number | null;
  } | null;
}

export const retrainingChecks = [
  'minimum_accuracy',
  'accuracy_drop',
  'new_images',
  'new_share',
  'already_running',
  'awaiting_approval',
  'no_data',
  'nothing_changed',
  'cool_down',
  'model_retired',
] as const;

/** Checks on production accuracy. */
export const performanceChecks: readonly (typeof retrainingChecks)[number][] = ['minimum_accuracy', 'accuracy_drop'];

export const skipReasons = [
  'already_running',
  'cool_down',
  'nothing_changed',
  'awaiting_approval',
  'no_data',
  'model_retired',
] as const;
export type SkipReason = (typeof skipReasons)[number];

export const retrainingReasonSchema = z.object({
  check: z.enum(retrainingChecks),
  fired: z.boolean().describe('whether the value is past its threshold; the last six checks then prevent a retraining'),
  figure: z.number().nullable(),
  threshold: z.number().nullable(),
  detail: z.string().describe('one sentence with value and threshold'),
});
export type RetrainingReason = z.infer<typeof retrainingReasonSchema>;

/** Inputs of a retraining decision. */
export interface DecisionInput {
  kind: RetrainingKind;
  trigger: RetrainingRequest['trigger'];
  inputs: RetrainingInputs;
  state: RetrainingState;
}

/** A decision with its reason. */
export interface RetrainingVerdict {
  decision: 'retrain' | 'skip';
  /** Trigger of the run. */
  trigger: z.infer<typeof triggerSchema>;
  reason: string;
  reasons: RetrainingReason[];
  skippedBecause: SkipReason | null;
}

/** Metrics of a decision. */
export const retrainingMetricsSchema = z.object({
  productionVersion: z.number().int().nullable(),
  testAccuracy: z.number().nullable(),
  productionAccuracy: z.number().nullable().describe('by feedback'),
  labelled: z.number().int().describe('predictions of the version with a true label'),
  datasetVersion: z.number().int().nullable(),
  newImages: z.number().int(),
  newShare: z.number(),
});
export type RetrainingMetrics = z.infer<typeof retrainingMetricsSchema>;

/** A stored request with its decision. */
export interface DecisionRequest {
  requestId: string;
  modelName: string;
  dataset: string;
  kind: RetrainingKind;
  by: Actor;
  /** Nominal time of the schedule, which may be long past for a backfill. */
  scheduledFor: string | null;
  metrics: RetrainingMetrics;
}
