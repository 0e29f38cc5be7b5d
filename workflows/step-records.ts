import { proxyActivities, upsertSearchAttributes } from '@temporalio/workflow';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { stageAttribute, type StepName } from '../contracts/names.js';
import type { StepEntry } from '../contracts/workflows/runs.js';
import type { RecordActivities } from '../activities/runtime/records.js';
import { recordOptions } from './activity-options.js';

/** How the states of the steps of a run get into the database. */
export interface StepRecords {
  /** Takes a state. A step that begins is written before its work begins, with the states before it. */
  add(entry: StepEntry): Promise<void>;
  /** Called before the record is closed: writes what is left, unless the activity that closes it does that. */
  beforeEnd(): Promise<void>;
  /** Calls an activity that writes the record of the run. */
  write(call: (activities: RecordActivities) => Promise<void>): Promise<void>;
}

/** The current step of a run, shown and searchable in the Temporal Web UI. */
const stageKey = defineSearchAttributeKey(stageAttribute, SearchAttributeType.KEYWORD);

export function showStage(step: StepName): void {
  upsertSearchAttributes([{ key: stageKey, value: step }]);
}

/** Writes states by activities of their own, as runs do that began with an earlier release. */
export function createStepWriter(runId: string): StepRecords {
  const unwritten: StepEntry[] = [];
  const activities = proxyActivities<RecordActivities>(recordOptions);
  return {
    async add(entry) {
      unwritten.push(entry);
      if (entry.status !== 'running') return;
      showStage(entry.name);
      const batch = unwritten.splice(0);
      try {
        await activities.enterSteps(runId, batch);
      } catch (error) {
        // Entries of a cancelled write are written when the record is closed.
        unwritten.unshift(...batch);
        throw error;
      }
    },
    async beforeEnd() {
      if (unwritten.length > 0) await activities.enterSteps(runId, unwritten);
    },
    write: (call) => call(activities),
  };
}
