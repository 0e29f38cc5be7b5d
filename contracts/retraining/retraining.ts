import { z } from 'zod';
import type { Actor } from '../audit/audit.js';
import type { DatasetStatistics } from '../datasets/datasets.js';
import type { triggerSchema } from '../workflows/runs.js';
import type { RetrainingPolicy } from '../promotion/policy.js';
import type { Hyperparameters } from '../training/training.js';

/** What asks for a retraining, which decides by which rules it is judged. The last two are schedules. */
export const retrainingKinds = ['manual', 'mlops_retraining_pipeline', 'continuous_training'] as const;
export type RetrainingKind = (typeof retrainingKinds)[number];

/** Input of `requestRetraining`. */
export interface RetrainingRequest {
  modelName: string;
  /** Null means the one that the model in Production was trained on. */
  dataset: string | null;
  kind: RetrainingKind;
  trigger: z.infer<typeof triggerSchema>;
  /** The same id gets the same decision; null makes the id of the run that asks the one. */
  requestId: string | null;
}

/** What a model and its data say about the need of a retraining. */
export interface RetrainingInputs {
  policy: RetrainingPolicy;
  dataset: string;
  /** `hyperparameters` are those it was trained with; null when it was trained elsewhere. */
  production: { version: number; testAccuracy: number; hyperparameters: Hyperparameters | null } | null;
  /** Labelled predictions of the version in Production; accuracy and interval are null where there are none. */
  feedback: { labelled: number; accuracy: number | null; interval: readonly [number, number] | null };
  /** The newest version of the dataset; null when it has none. */
  data: {
    datasetVersion: number;
    images: number;
    newImages: number;
    newShare: number;
    statistics: DatasetStatistics;
  } | null;
}

/** What goes on, and what went on last, as it is read under the lock that the decision is made under. */
export interface RetrainingState {
  /** The retraining under way; its id is null in the moments before it has one. */
  running: { runId: string | null } | null;
  awaitingApproval: boolean;
  /** The newest retraining that nobody asked for by hand. `outcome` is null while it has none. */
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
] as const;

/** Those that speak of accuracy in production. */
export const performanceChecks: readonly (typeof retrainingChecks)[number][] = ['minimum_accuracy', 'accuracy_drop'];

export const skipReasons = ['already_running', 'cool_down', 'nothing_changed', 'awaiting_approval', 'no_data'] as const;
export type SkipReason = (typeof skipReasons)[number];

export const retrainingReasonSchema = z.object({
  check: z.enum(retrainingChecks),
  fired: z
    .boolean()
    .describe('whether the figure is past its threshold; the last five then speak against a retraining'),
  figure: z.number().nullable(),
  threshold: z.number().nullable(),
  detail: z.string().describe('one sentence with the figure and its threshold'),
});
export type RetrainingReason = z.infer<typeof retrainingReasonSchema>;

/** What a request to retrain is decided on. */
export interface DecisionInput {
  kind: RetrainingKind;
  trigger: RetrainingRequest['trigger'];
  inputs: RetrainingInputs;
  state: RetrainingState;
}

/** What is decided on a request, and why. */
export interface RetrainingVerdict {
  decision: 'retrain' | 'skip';
  /** What the run says started it. */
  trigger: z.infer<typeof triggerSchema>;
  reason: string;
  reasons: RetrainingReason[];
  skippedBecause: SkipReason | null;
}

/** Figures a decision was made on. */
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

/** A request as it is kept with its decision. */
export interface DecisionRequest {
  requestId: string;
  modelName: string;
  dataset: string;
  kind: RetrainingKind;
  by: Actor;
  /** The time a schedule meant, which may be long past when it is made up for. */
  scheduledFor: string | null;
  metrics: RetrainingMetrics;
}
