import type { PipelineEnd, PipelineOpening, StepEntry } from '../../contracts/workflows/runs.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';

export interface RecordActivities {
  openPipeline(opening: PipelineOpening): Promise<void>;
  enterSteps(runId: string, steps: readonly StepEntry[]): Promise<void>;
  /** Writes the last entries too; runs that began with an earlier release have written theirs. */
  closePipeline(runId: string, end: PipelineEnd, steps?: readonly StepEntry[]): Promise<void>;
}

/** The activities by which workflows write their run records; every call can be repeated. */
export function createRecordActivities({ pipelines }: { pipelines: PipelineStore }): RecordActivities {
  return {
    openPipeline: (opening) => pipelines.open(opening),
    async enterSteps(runId, steps) {
      for (const step of steps) await pipelines.enterStep(runId, step);
    },
    closePipeline: (runId, end, steps = []) => pipelines.close(runId, end, steps),
  };
}
