import { defaultPayloadConverter } from '@temporalio/common';
import type { WorkflowInterceptors } from '@temporalio/workflow';
import { stepsHeader, taskQueues, type StepName } from '../contracts/names.js';
import type { CarriedSteps, StepEntry } from '../contracts/workflows/runs.js';
import { localFirst } from './local-first.js';
import { shapeOfRun } from './run-shape.js';
import { showStage, type StepRecords } from './step-records.js';

/** States of steps that are not known to be written, and the last of them that runs. */
interface Cargo {
  runId: string;
  unwritten: StepEntry[];
  stage: StepName | null;
  shownStage: StepName | null;
}

/** That of the run; each run has its own variables of a module. */
let cargo: Cargo | null = null;

/**
 * The activities of a run carry the states of its steps: a worker writes those that an activity carries before the work of
 * the activity. That needs no task of its own. An activity that is retried carries them again, and so does the next one
 * after an activity that failed.
 */
export function createStepCarrier(runId: string): StepRecords {
  const ofRun: Cargo = { runId, unwritten: [], stage: null, shownStage: null };
  cargo = ofRun;
  return {
    add: (entry) => Promise.resolve(void ofRun.unwritten.push(entry)),
    beforeEnd() {
      if (shapeOfRun().isLocal) showStageOf(ofRun);
      return Promise.resolve();
    },
    write: (call) => localFirst(undefined, call),
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
        scheduleLocalActivity: (input, next) => carry(input, next, shapeOfRun().isLocal),
        startChildWorkflowExecution: (input, next) =>
          hasCargo() ? writeNow().then(() => startChild(input, next)) : startChild(input, next),
      },
    ],
  };
}

function hasCargo(): boolean {
  return cargo !== null && cargo.unwritten.length > 0;
}

function startChild<Input, Started>(input: Input, next: (input: Input) => Promise<Started>): Promise<Started> {
  if (cargo) showStageOf(cargo);
  return next(input);
}

/** `isBrief`: ends with the present workflow task, so that the stage would be shown when it is over. */
async function carry<Input extends { headers: object }>(
  input: Input,
  next: (input: Input) => Promise<unknown>,
  isBrief = false,
): Promise<unknown> {
  if (cargo === null) return next(input);
  const { runId } = cargo;
  const steps = [...cargo.unwritten];
  cargo.stage = steps.findLast(({ status }) => status === 'running')?.name ?? cargo.stage;
  if (!isBrief) showStageOf(cargo);
  if (steps.length === 0) return next(input);
  const carried: CarriedSteps = { runId, steps };
  const headers = { ...input.headers, [stepsHeader]: defaultPayloadConverter.toPayload(carried) };
  const result = await next({ ...input, headers });
  cargo.unwritten = cargo.unwritten.filter((entry) => !steps.includes(entry));
  return result;
}

/** Shows the current step in the Temporal Web UI. That costs the server an event and a write of its index. */
function showStageOf(run: Cargo): void {
  if (run.stage !== null && run.stage !== run.shownStage) showStage(run.stage);
  run.shownStage = run.stage;
}

async function writeNow(): Promise<void> {
  const last = cargo?.unwritten.at(-1);
  if (cargo === null || last === undefined) return;
  const { runId } = cargo;
  await localFirst(last.name, ({ enterSteps }) => enterSteps(runId, []));
}
