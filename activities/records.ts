import type { RunStatus } from '../contracts/pipelines.js';
import type { StepName } from '../contracts/names.js';
import type { ErrorCode } from '../contracts/errors.js';
import type { PipelineStore } from '../stores/pipelines.js';

export interface PipelineOpening {
  runId: string;
  workflowId: string;
  workflow: string;
  trigger: string;
  modelName: string | null;
  dataset: string | null;
  steps: readonly StepName[];
}

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

export interface RecordActivities {
  openPipeline(opening: PipelineOpening): Promise<void>;
  enterSteps(runId: string, steps: readonly StepEntry[]): Promise<void>;
  closePipeline(runId: string, end: PipelineEnd): Promise<void>;
}

/** What workflows write of themselves into our record; every call may be repeated. */
export function createRecordActivities({ pipelines }: { pipelines: PipelineStore }): RecordActivities {
  return {
    openPipeline: (opening) => pipelines.open(opening),
    async enterSteps(runId, steps) {
      for (const step of steps) await pipelines.enterStep(runId, step);
    },
    closePipeline: (runId, end) => pipelines.close(runId, end),
  };
}
