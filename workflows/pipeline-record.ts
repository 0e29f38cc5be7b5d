import { CancellationScope, ContinueAsNew, workflowInfo } from '@temporalio/workflow';
import type { StepName } from '../contracts/names.js';
import type { PipelineEnd } from '../contracts/workflows/runs.js';
import type { RecordActivities } from '../activities/runtime/records.js';
import { createStepCarrier } from './carried-steps.js';
import { endingOf } from './failure.js';
import { callShort } from './local-first.js';
import { trackSteps, type StepTracker } from './progress.js';
import { chooseShape } from './run-shape.js';
import { createStepWriter, type StepRecords } from './step-records.js';

export interface Opening {
  trigger: string;
  modelName: string | null;
  dataset: string | null;
  steps: readonly StepName[];
  /** Steps that consist of opening and of closing the run record. */
  first?: StepName;
  last?: StepName;
}

/**
 * Runs `steps` as a pipeline run in the database: the run record is opened first, each step is written before its work
 * begins, together with the end of the one before, and the record is closed with the result or the failure, also after a
 * cancellation. The id is that of the first run, so it survives continue-as-new.
 */
export async function recordPipeline<T>(opening: Opening, steps: (progress: StepTracker) => Promise<T>): Promise<T> {
  const runId = workflowInfo().firstExecutionRunId;
  const records = chooseShape().carriesSteps ? createStepCarrier(runId) : createStepWriter(runId);
  const progress = trackSteps(opening.steps, (entry) => records.add(entry));
  const close = (end: PipelineEnd): Promise<void> => closeRecord(records, opening, runId, end);
  try {
    await openRecord(records, opening, runId);
    const result = await steps(progress);
    await close({ status: 'completed', result });
    progress.end('completed');
    return result;
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    const ending = endingOf(error);
    await close(ending);
    progress.end(ending.status);
    throw error;
  }
}

/**
 * Tracks the steps of a workflow. As a child it is a step of its parent's run; without a parent it has its own run record.
 */
export async function reportOnly<T>(
  opening: Omit<Opening, 'dataset'>,
  steps: (progress: StepTracker) => Promise<T>,
): Promise<T> {
  if (workflowInfo().parent === undefined) return recordPipeline({ ...opening, dataset: null }, steps);
  const progress = trackSteps(opening.steps);
  const result = await steps(progress);
  progress.end('completed');
  return result;
}

async function openRecord(records: StepRecords, { first, ...opening }: Opening, runId: string): Promise<void> {
  const { workflowId, workflowType } = workflowInfo();
  const { trigger, modelName, dataset, steps } = opening;
  const row = { runId, workflowId, workflow: workflowType, trigger, modelName, dataset, steps };
  await writeRecord(records, (activities) => activities.openPipeline(row), first);
  if (first) await records.add({ name: first, status: 'completed' });
}

function closeRecord(records: StepRecords, { last }: Opening, runId: string, end: PipelineEnd): Promise<void> {
  return CancellationScope.nonCancellable(async () => {
    if (last && end.status === 'completed') await records.add({ name: last, status: 'completed' });
    await records.beforeEnd();
    await writeRecord(records, (activities) => activities.closePipeline(runId, end), last);
  });
}

/** `step` consists of this write; the Temporal Web UI shows its name. */
function writeRecord(
  records: StepRecords,
  call: (activities: RecordActivities) => Promise<void>,
  step: StepName | undefined,
): Promise<void> {
  return step ? callShort(step, call) : records.write(call);
}
