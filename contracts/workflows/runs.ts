import { z } from 'zod';
import type { ErrorCode } from '../errors.js';
import type { StepName } from '../names.js';

export const triggers = ['manual', 'first_run', 'schedule', 'new_data', 'performance', 'drift'] as const;

export const triggerSchema = z.enum(triggers);
export type Trigger = z.infer<typeof triggerSchema>;

export const runStatuses = ['running', 'completed', 'failed', 'cancelled'] as const;
export type RunStatus = (typeof runStatuses)[number];

/** `skipped`: the step had nothing to do, or its work was refused. */
export const stepStatuses = ['pending', ...runStatuses, 'skipped'] as const;
export type StepStatus = (typeof stepStatuses)[number];

/** `lost`: no end was recorded, and work continued without it. */
export const attemptStatuses = [...runStatuses, 'lost'] as const;

export interface StepProgress {
  name: StepName;
  status: StepStatus;
  detail: string | null;
}

/** Answer of every workflow's `progress` query. */
export interface Progress {
  workflow: string;
  status: RunStatus;
  steps: StepProgress[];
}

/** The first fields of a stored workflow run. `runId` is the first run's, also after continue-as-new. */
export interface PipelineOpening {
  runId: string;
  workflowId: string;
  workflow: string;
  trigger: string;
  modelName: string | null;
  dataset: string | null;
  steps: readonly StepName[];
}

/** State of a step. */
export interface StepEntry<Name extends string = StepName> {
  name: Name;
  status: Exclude<StepStatus, 'pending'>;
  detail?: string | null;
}

/** States of steps that an activity carries. */
export const carriedStepsSchema = z.object({
  runId: z.string(),
  steps: z.array(
    z.object({
      name: z.string(),
      status: z.enum(stepStatuses).exclude(['pending']),
      detail: z.string().nullable().exactOptional(),
    }),
  ),
});
export type CarriedSteps = z.infer<typeof carriedStepsSchema>;

export interface PipelineEnd {
  status: RunStatus;
  result?: unknown;
  error?: { code: ErrorCode; message: string };
}
