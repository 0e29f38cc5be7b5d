import { ContinueAsNew, defineQuery, setHandler, workflowInfo } from '@temporalio/workflow';
import { progressQuery, type StepName } from '../contracts/names.js';
import type { Progress, RunStatus, StepEntry } from '../contracts/workflows/runs.js';
import { endingOf } from './failure.js';

export const progressOf = defineQuery<Progress>(progressQuery);

/** The steps of a workflow as they happen, answered by its `progress` query. */
export interface StepTracker {
  /** Runs a step; `tell` gives the sentence that is shown when it has ended well. */
  step<T>(name: StepName, work: () => Promise<T>, tell?: (result: T) => string): Promise<T>;
  /** Tells how far a running step is, to those who ask by query. */
  note(name: StepName, detail: string): void;
  end(status: RunStatus): void;
}

/** Hears of every change of a step, before the work of a step begins and after it has ended. */
export type Listener = (entry: StepEntry) => Promise<void>;

export function trackSteps(steps: readonly StepName[], listen: Listener = () => Promise.resolve()): StepTracker {
  const state: Progress = {
    workflow: workflowInfo().workflowType,
    status: 'running',
    steps: steps.map((name) => ({ name, status: 'pending', detail: null })),
  };
  setHandler(progressOf, () => state);
  const enter = (entry: StepEntry): Promise<void> => {
    const step = state.steps.find(({ name }) => name === entry.name);
    if (step) Object.assign(step, { status: entry.status, detail: entry.detail ?? null });
    return listen(entry);
  };
  return {
    async step(name, work, tell) {
      await enter({ name, status: 'running' });
      try {
        const result = await work();
        await enter({ name, status: 'completed', detail: tell?.(result) ?? null });
        return result;
      } catch (error) {
        // The next run goes on with this step.
        if (error instanceof ContinueAsNew) throw error;
        const { status, error: failure } = endingOf(error);
        await enter({ name, status, detail: failure.message });
        throw error;
      }
    },
    note(name, detail) {
      const step = state.steps.find((each) => each.name === name);
      if (step) step.detail = detail;
    },
    end(status) {
      state.status = status;
    },
  };
}
