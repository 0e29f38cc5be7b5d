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

/** Shows and finds runs by the step they are at, in the Temporal Web UI. */
const stageKey = defineSearchAttributeKey(stageAttribute, SearchAttributeType.KEYWORD);

const records = proxyActivities<RecordActivities>(recordOptions);

export interface Opening {
  trigger: string;
  modelName: string | null;
  dataset: string | null;
  steps: readonly StepName[];
  /** Steps that opening and closing the record themselves are. */
  first?: StepName;
  last?: StepName;
}

/**
 * Runs `plot` as a pipeline of our record: opened before it, its steps written as they happen, closed with its
 * result or its failure, also when it is cancelled. The end of a step is written together with the next start, to
 * save a round trip. The record's id is the first run's, so that it survives continue-as-new.
 */
export async function recordPipeline<T>(opening: Opening, plot: (story: StepTracker) => Promise<T>): Promise<T> {
  const runId = workflowInfo().firstExecutionRunId;
  const unwritten: StepEntry[] = [];
  const story = trackSteps(opening.steps, async (entry) => {
    unwritten.push(entry);
    if (entry.status !== 'running') return;
    upsertSearchAttributes([{ key: stageKey, value: entry.name }]);
    const batch = unwritten.splice(0);
    try {
      await records.enterSteps(runId, batch);
    } catch (error) {
      // What a cancelled write left unwritten is written when the record is closed.
      unwritten.unshift(...batch);
      throw error;
    }
  });
  const close = (end: PipelineEnd): Promise<void> => closeRecord(opening, runId, unwritten, end);
  try {
    await openRecord(opening, runId, unwritten);
    const result = await plot(story);
    await close({ status: 'completed', result });
    story.end('completed');
    return result;
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    const ending = endingOf(error);
    await close(ending);
    story.end(ending.status);
    throw error;
  }
}

/**
 * Tells the story of a workflow that is a step of another run, or a run of its own: then it has a record of its own.
 */
export async function reportOnly<T>(
  opening: Omit<Opening, 'dataset'>,
  plot: (story: StepTracker) => Promise<T>,
): Promise<T> {
  if (workflowInfo().parent === undefined) return recordPipeline({ ...opening, dataset: null }, plot);
  const story = trackSteps(opening.steps);
  const result = await plot(story);
  story.end('completed');
  return result;
}

async function openRecord({ first, ...opening }: Opening, runId: string, unwritten: StepEntry[]): Promise<void> {
  const { workflowId, workflowType } = workflowInfo();
  const { trigger, modelName, dataset, steps } = opening;
  const row = { runId, workflowId, workflow: workflowType, trigger, modelName, dataset, steps };
  await records.openPipeline.executeWithOptions(named(first), [row]);
  if (first) unwritten.push({ name: first, status: 'completed' });
}

function closeRecord({ last }: Opening, runId: string, unwritten: StepEntry[], end: PipelineEnd): Promise<void> {
  if (last && end.status === 'completed') unwritten.push({ name: last, status: 'completed' });
  return CancellationScope.nonCancellable(async () => {
    if (unwritten.length > 0) await records.enterSteps(runId, unwritten);
    await records.closePipeline.executeWithOptions(named(last), [runId, end]);
  });
}

function named(step: StepName | undefined): ActivityOptions {
  return step ? { ...recordOptions, summary: step } : recordOptions;
}
