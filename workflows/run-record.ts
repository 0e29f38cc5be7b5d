import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { StepName } from '../contracts/names.js';
import type { PipelineEnd, PipelineOpening, StepEntry } from '../contracts/workflows/runs.js';
import type { RecordActivities } from '../activities/runtime/records.js';
import { recordOptions } from './activity-options.js';
import { localFirst, localOptions } from './local-first.js';

/** Writes the record of a run. */
export interface RunRecord {
  /** `step` is the one that consists of opening, if there is one. */
  open(opening: PipelineOpening, step?: StepName): Promise<void>;
  /** Writes entries before the work of the last of them begins. */
  enter(runId: string, entries: StepEntry[]): Promise<void>;
  /** Writes the last entries and the end. `step` is the one that consists of closing, if there is one. */
  close(runId: string, entries: StepEntry[], end: PipelineEnd, step?: StepName): Promise<void>;
}

/** The activities, with the name of the step as summary in the Temporal Web UI. */
function ordinary(summary?: StepName): RecordActivities {
  return proxyActivities<RecordActivities>(summary ? { ...recordOptions, summary } : recordOptions);
}

function local(summary?: StepName): RecordActivities {
  return proxyLocalActivities<RecordActivities>(summary ? { ...localOptions, summary } : localOptions);
}

/**
 * Writes within the workflow tasks that there are anyway. A step that consists of opening or closing is an activity, so
 * that the Temporal Web UI shows it as such.
 */
export const localRecord: RunRecord = {
  open: (opening, step) =>
    step
      ? ordinary(step).openPipeline(opening)
      : localFirst(
          () => local().openPipeline(opening),
          () => ordinary().openPipeline(opening),
        ),
  enter(runId, entries) {
    const step = entries.at(-1)?.name;
    return localFirst(
      () => local(step).enterSteps(runId, entries),
      () => ordinary(step).enterSteps(runId, entries),
    );
  },
  close: (runId, entries, end, step) =>
    step
      ? ordinary(step).closePipeline(runId, end, entries)
      : localFirst(
          () => local().closePipeline(runId, end, entries),
          () => ordinary().closePipeline(runId, end, entries),
        ),
};

/** Writes by an activity each time, as runs do that began with an earlier release. */
export const activityRecord: RunRecord = {
  open: (opening, step) => ordinary(step).openPipeline(opening),
  enter: (runId, entries) => ordinary().enterSteps(runId, entries),
  async close(runId, entries, end, step) {
    if (entries.length > 0) await ordinary().enterSteps(runId, entries);
    await ordinary(step).closePipeline(runId, end);
  },
};
