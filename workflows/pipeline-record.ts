import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import {
  CancellationScope,
  ContinueAsNew,
  proxyActivities,
  upsertSearchAttributes,
  workflowInfo,
  type ActivityOptions,
} from '@temporalio/workflow';
import { stageAttribute, type StepName } from '../contracts/names.js';
import type { PipelineEnd, StepEntry } from '../contracts/workflows/runs.js';
import type { RecordActivities } from '../activities/runtime/records.js';
import { recordOptions } from './activity-options.js';
import { endingOf } from './failure.js';
import { trackSteps, type StepTracker } from './progress.js';

/** The current step of a run, shown and searchable in the Temporal Web UI. */
const stageKey = defineSearchAttributeKey(stageAttribute, SearchAttributeType.KEYWORD);

const records = proxyActivities<RecordActivities>(recordOptions);

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
 * Runs `steps` as a pipeline run in the database: the run record is opened first, each step is written as it happens, and
 * the record is closed with the result or the failure, also after a cancellation. The end of a step is written together
 * with the start of the next one, to save a round trip. The id is that of the first run, so it survives continue-as-new.
 */
export async function recordPipeline<T>(opening: Opening, steps: (progress: StepTracker) => Promise<T>): Promise<T> {
  const runId = workflowInfo().firstExecutionRunId;
  const unwritten: StepEntry[] = [];
  const progress = trackSteps(opening.steps, async (entry) => {
    unwritten.push(entry);
    if (entry.status !== 'running') return;
    upsertSearchAttributes([{ key: stageKey, value: entry.name }]);
    const batch = unwritten.splice(0);
    try {
      await records.enterSteps(runId, batch);
    } catch (error) {
      // Entries of a cancelled write are written when the record is closed.
      unwritten.unshift(...batch);
      throw error;
    }
  });
  const close = (end: PipelineEnd): Promise<void> => closeRecord(opening, runId, unwritten, end);
  try {
    await openRecord(opening, runId, unwritten);
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

async function openRecord({ first, ...opening }: Opening, runId: string, unwritten: StepEntry[]): Promise<void> {
  const { workflowId, workflowType } = workflowInfo();
  const { trigger, modelName, dataset, steps } = opening;
  const row = { runId, workflowId, workflow: workflowType, trigger, modelName, dataset, steps };
  await records.openPipeline.executeWithOptions(withSummary(first), [row]);
  if (first) unwritten.push({ name: first, status: 'completed' });
}

function closeRecord({ last }: Opening, runId: string, unwritten: StepEntry[], end: PipelineEnd): Promise<void> {
  if (last && end.status === 'completed') unwritten.push({ name: last, status: 'completed' });
  return CancellationScope.nonCancellable(async () => {
    if (unwritten.length > 0) await records.enterSteps(runId, unwritten);
    await records.closePipeline.executeWithOptions(withSummary(last), [runId, end]);
  });
}

function withSummary(step: StepName | undefined): ActivityOptions {
  return step ? { ...recordOptions, summary: step } : recordOptions;
}
