import type { Headers } from '@temporalio/common';
import { defaultPayloadConverter } from '@temporalio/common';
import { stepsHeader } from '../../contracts/names.js';
import {
  carriedStepsSchema,
  type PipelineEnd,
  type PipelineOpening,
  type StepEntry,
} from '../../contracts/workflows/runs.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';

export interface RecordActivities {
  openPipeline(opening: PipelineOpening): Promise<void>;
  /** Writes states of steps, besides those that every activity may carry. */
  enterSteps(runId: string, steps: readonly StepEntry<string>[]): Promise<void>;
  closePipeline(runId: string, end: PipelineEnd): Promise<void>;
}

/** The activities by which workflows write their run records; every call can be repeated. */
export function createRecordActivities({ pipelines }: { pipelines: PipelineStore }): RecordActivities {
  return {
    openPipeline: (opening) => pipelines.open(opening),
    enterSteps: (runId, steps) => pipelines.enterSteps(runId, steps),
    closePipeline: (runId, end) => pipelines.close(runId, end),
  };
}

/** Writes the states of steps that an activity carries in its headers. */
export async function writeCarriedSteps(
  headers: Headers,
  { enterSteps }: Pick<RecordActivities, 'enterSteps'>,
): Promise<void> {
  const header = headers[stepsHeader];
  if (header === undefined) return;
  const { runId, steps } = carriedStepsSchema.parse(defaultPayloadConverter.fromPayload(header));
  await enterSteps(runId, steps);
}
