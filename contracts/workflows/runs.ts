import { z } from 'zod';
import { datasetStatisticsSchema, nameSchema, sourceSchema } from '../datasets/datasets.js';
import {
  evaluationSchema,
  hyperparametersSchema,
  type Evaluation,
  type Hyperparameters,
} from '../training/training.js';
import { decisionSchema, modelNameSchema, type Decision } from '../registry/registry.js';
import type { Actor } from '../audit/audit.js';
import type { ErrorCode } from '../errors.js';
import type { StepName } from '../names.js';

export const triggers = ['manual', 'first_run', 'schedule', 'new_data', 'performance', 'drift'] as const;
export const triggerSchema = z.enum(triggers);
export type Trigger = z.infer<typeof triggerSchema>;

export const ingestionInputSchema = z.object({
  dataset: nameSchema,
  source: sourceSchema,
  label: z.string().optional(),
  trigger: triggerSchema,
  requestId: z.string(),
});
export type IngestionInput = z.infer<typeof ingestionInputSchema>;

export const ingestionResultSchema = z.object({
  dataset: z.string(),
  version: z.number().int(),
  digest: z.string(),
  isNewVersion: z.boolean(),
  files: z.number().int(),
  newImages: z.number().int(),
  uploadedBytes: z.number().int(),
  duplicates: z.number().int(),
  quarantined: z.number().int(),
  conflicts: z.number().int(),
  statistics: datasetStatisticsSchema,
  note: z.string().nullable().describe('for instance that the images are synthetic'),
});
export type IngestionResult = z.infer<typeof ingestionResultSchema>;

export const retrainingInputSchema = z.object({
  modelName: modelNameSchema,
  dataset: nameSchema,
  trigger: triggerSchema,
  requestId: z.string(),
  source: sourceSchema.nullable().describe('a source to ingest first; null rescans the folders the dataset knows'),
  hyperparameters: hyperparametersSchema,
});
export type RetrainingInput = z.infer<typeof retrainingInputSchema>;

export interface TrainingInput {
  modelName: string;
  dataset: string;
  datasetVersion: number;
  hyperparameters: Hyperparameters;
  /** Id of the run in our record; derived by the parent, so that a retry finds the same run. */
  runId: string;
}

export interface TrainingResult {
  runId: string;
  version: number;
  weightsSha256: string;
  bestEpoch: number;
  epochs: number;
  newFeatures: number;
  test: Evaluation;
}

export interface ValidationInput {
  modelName: string;
  version: number;
}

export interface PromotionInput {
  modelName: string;
  version: number;
  actor: string;
  reason: string;
  /** A promotion with a key that was used before gives the former outcome and changes nothing. */
  idempotencyKey: string;
  /** What the gate decided; null when a person promotes past it. */
  decision: Decision | null;
  /** Who asks, when it is not a pipeline; `actor` is this one's name. */
  by?: Actor;
  /** The generation the promotion was decided on, when it is not that of `decision`. */
  expectedGeneration?: number;
}

/** `needs_approval` is how runs ended before promotions could wait; `stale` asks for another validation. */
export const promotionOutcomes = [
  'promoted',
  'refused',
  'rolled_back',
  'rejected',
  'expired',
  'stale',
  'needs_approval',
] as const;
export type PromotionOutcome = (typeof promotionOutcomes)[number];

export const promotionResultSchema = z.object({
  version: z.number().int(),
  formerVersion: z.number().int().nullable(),
  generation: z.number().int().nullable().describe('serving generation after the move; null when nothing was moved'),
  replicas: z.array(z.string()),
  outcome: z.enum(promotionOutcomes),
  detail: z.string(),
});
export type PromotionResult = z.infer<typeof promotionResultSchema>;

/** What a promoted version is watched for during its first minutes. */
export interface GuardInput {
  modelName: string;
  version: number;
  generation: number;
  /** Key of the promotion, which is taken back when the guard finds a fault. */
  idempotencyKey: string;
}

export interface GuardResult {
  outcome: 'passed' | 'rolled_back' | 'superseded';
  detail: string;
}

/** What a person says to a promotion that waits. */
export interface Verdict {
  by: Actor;
  comment: string | null;
}

export const retrainingResultSchema = z.object({
  outcome: z.enum(promotionOutcomes),
  summary: z.string(),
  modelName: z.string(),
  version: z.number().int(),
  runId: z.string(),
  dataset: z.string(),
  datasetVersion: z.number().int(),
  test: evaluationSchema,
  decision: decisionSchema,
});
export type RetrainingResult = z.infer<typeof retrainingResultSchema>;

export const runStatuses = ['running', 'completed', 'failed', 'cancelled'] as const;
export type RunStatus = (typeof runStatuses)[number];

export interface StepProgress {
  name: StepName;
  status: 'pending' | RunStatus;
  detail: string | null;
}

/** Answer of every workflow's `progress` query. */
export interface Progress {
  workflow: string;
  status: RunStatus;
  steps: StepProgress[];
}

/** What the record of a workflow run begins with. `runId` is the first run's, also after continue-as-new. */
export interface PipelineOpening {
  runId: string;
  workflowId: string;
  workflow: string;
  trigger: string;
  modelName: string | null;
  dataset: string | null;
  steps: readonly StepName[];
}

/** Where a step stands. */
export interface StepEntry {
  name: StepName;
  status: RunStatus;
  detail?: string | null;
}

export interface PipelineEnd {
  status: RunStatus;
  result?: unknown;
  error?: { code: ErrorCode; message: string };
}
