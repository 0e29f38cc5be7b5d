import { ContinueAsNew, defineQuery, setHandler, workflowInfo } from '@temporalio/workflow';
import { progressQuery, type StepName } from '../contracts/names.js';
import type { Progress, RunStatus, StepEntry } from '../contracts/workflows/runs.js';
import { endingOf } from './failure.js';

export const progressOf = defineQuery<Progress>(progressQuery);

/** Tracks the steps of a workflow, which its `progress` query returns. */
export interface StepTracker {
  /** Runs a step; `describe` gives the detail that is shown when it has returned, with a status other than completed. */
  step<T>(name: StepName, work: () => Promise<T>, describe?: (result: T) => string | StepOutcome): Promise<T>;
  /** Ends a step that does not run. */
  skip(name: StepName, detail: string): Promise<void>;
  /** Sets the detail of a running step, which only the query returns. */
  note(name: StepName, detail: string): void;
  end(status: RunStatus): void;
}

/** How a step ended that threw no error. */
export interface StepOutcome {
  status: 'completed' | 'skipped' | 'failed';
  detail: string;
}

/** The outcome of a step that had nothing to do, or whose work was refused. */
export function skipped(detail: string): StepOutcome {
  return { status: 'skipped', detail };
}

/** Called at every change of a step: before its work begins and after it has ended. */
export type StepListener = (entry: StepEntry) => Promise<void>;

export function trackSteps(steps: readonly StepName[], listen: StepListener = () => Promise.resolve()): StepTracker {
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
    async step(name, work, describe) {
      await enter({ name, status: 'running' });
      try {
        const result = await work();
        await enter({ name, ...outcomeOf(describe?.(result) ?? null) });
        return result;
      } catch (error) {
        // The next run continues this step.
        if (error instanceof ContinueAsNew) throw error;
        const { status, error: failure } = endingOf(error);
        await enter({ name, status, detail: failure.message });
        throw error;
      }
    },
    skip: (name, detail) => enter({ name, ...skipped(detail) }),
    note(name, detail) {
      const step = state.steps.find((each) => each.name === name);
      if (step) step.detail = detail;
    },
    end(status) {
      state.status = status;
    },
  };
}

function outcomeOf(described: string | StepOutcome | null): Omit<StepEntry, 'name'> {
  return typeof described === 'object' && described !== null ? described : { status: 'completed', detail: described };
}
