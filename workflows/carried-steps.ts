import { defaultPayloadConverter } from '@temporalio/common';
import {
  AsyncLocalStorage,
  proxyActivities,
  proxyLocalActivities,
  type WorkflowInterceptors,
} from '@temporalio/workflow';
import { stepsHeader, taskQueues, type StepName } from '../contracts/names.js';
import type { CarriedSteps, StepEntry } from '../contracts/workflows/runs.js';
import type { RecordActivities } from '../activities/runtime/records.js';
import { recordOptions } from './activity-options.js';
import { localFirst, localOptions } from './local-first.js';
import { showStage, type StepRecords } from './step-records.js';

/** States of steps that are not known to be written. */
interface Cargo {
  runId: string;
  unwritten: StepEntry[];
  stage: StepName | null;
}

const cargoOfRun = new AsyncLocalStorage<Cargo>();

/**
 * The activities of a run carry the states of its steps: a worker writes those that an activity carries before the work of
 * the activity. That needs no task of its own. An activity that is retried carries them again, and so does the next one
 * after an activity that failed.
 */
export function createStepCarrier(runId: string): StepRecords {
  const cargo: Cargo = { runId, unwritten: [], stage: null };
  return {
    add: (entry) => Promise.resolve(void cargo.unwritten.push(entry)),
    beforeEnd: () => Promise.resolve(),
    write: (call) => writeRecord(call),
    during: (work) => cargoOfRun.run(cargo, work),
  };
}

/** Makes the activities of a run carry the states of its steps; part of the workflow bundle. */
export function interceptors(): WorkflowInterceptors {
  return {
    outbound: [
      {
        // Without steps to carry, a command is given at once: its place among the others is part of recorded histories.
        scheduleActivity(input, next) {
          // An activity of the training queue may wait there for hours.
          const mayWait = input.options.taskQueue === taskQueues.training;
          if (!hasCargo() || !mayWait) return carry(input, next);
          return writeNow().then(() => carry(input, next));
        },
        scheduleLocalActivity: carry,
        startChildWorkflowExecution: (input, next) => (hasCargo() ? writeNow().then(() => next(input)) : next(input)),
      },
    ],
  };
}

function hasCargo(): boolean {
  return (cargoOfRun.getStore()?.unwritten.length ?? 0) > 0;
}

async function carry<Input extends { headers: object }>(
  input: Input,
  next: (input: Input) => Promise<unknown>,
): Promise<unknown> {
  const cargo = cargoOfRun.getStore();
  if (cargo === undefined || cargo.unwritten.length === 0) return next(input);
  const stage = cargo.unwritten.findLast(({ status }) => status === 'running')?.name ?? cargo.stage;
  if (stage !== null && stage !== cargo.stage) showStage(stage);
  cargo.stage = stage;
  const steps = [...cargo.unwritten];
  const carried: CarriedSteps = { runId: cargo.runId, steps };
  const headers = { ...input.headers, [stepsHeader]: defaultPayloadConverter.toPayload(carried) };
  const result = await next({ ...input, headers });
  cargo.unwritten = cargo.unwritten.filter((entry) => !steps.includes(entry));
  return result;
}

async function writeNow(): Promise<void> {
  const cargo = cargoOfRun.getStore();
  const last = cargo?.unwritten.at(-1);
  if (cargo && last) await writeRecord(({ enterSteps }) => enterSteps(cargo.runId, []), last.name);
}

function writeRecord(call: (activities: RecordActivities) => Promise<void>, step?: StepName): Promise<void> {
  const named = step ? { summary: step } : {};
  return localFirst(
    () => call(proxyLocalActivities<RecordActivities>({ ...localOptions, ...named })),
    () => call(proxyActivities<RecordActivities>({ ...recordOptions, ...named })),
  );
}
