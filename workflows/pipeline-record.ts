import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { CancellationScope, ContinueAsNew, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { stageAttribute, type StepName } from '../contracts/names.js';
import type { PipelineEnd, StepEntry } from '../contracts/workflows/runs.js';
import { endingOf } from './failure.js';
import { hasFewerTasks } from './local-first.js';
import { trackSteps, type StepListener, type StepTracker } from './progress.js';
import { activityRecord, localRecord, type RunRecord } from './run-record.js';

/** The current step of a run, shown and searchable in the Temporal Web UI. */
const stageKey = defineSearchAttributeKey(stageAttribute, SearchAttributeType.KEYWORD);

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
 * with the start of the next one. The id is that of the first run, so it survives continue-as-new.
 */
export async function recordPipeline<T>(opening: Opening, steps: (progress: StepTracker) => Promise<T>): Promise<T> {
  const runId = workflowInfo().firstExecutionRunId;
  const unwritten: StepEntry[] = [];
  const isLocal = hasFewerTasks();
  const record = isLocal ? localRecord : activityRecord;
  const write = async (): Promise<void> => {
    const batch = unwritten.splice(0);
    const running = batch.findLast(({ status }) => status === 'running');
    if (running) upsertSearchAttributes([{ key: stageKey, value: running.name }]);
    try {
      await record.enter(runId, batch);
    } catch (error) {
      // Entries of a cancelled write are written when the record is closed.
      unwritten.unshift(...batch);
      throw error;
    }
  };
  const progress = trackSteps(opening.steps, listenTo(unwritten, isLocal ? together(write) : write));
  const close = (end: PipelineEnd): Promise<void> => closeRecord(record, opening, unwritten, end);
  try {
    await openRecord(record, opening, unwritten);
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

/** Keeps the entries; each one of a step that begins is written before its work begins, with those before it. */
function listenTo(unwritten: StepEntry[], write: () => Promise<void>): StepListener {
  return async (entry) => {
    unwritten.push(entry);
    if (entry.status === 'running') await write();
  };
}

/** Writes the entries of steps that begin at the same time once. */
function together(write: () => Promise<void>): () => Promise<void> {
  let next: Promise<void> | null = null;
  return () => {
    next ??= Promise.resolve().then(() => {
      next = null;
      return write();
    });
    return next;
  };
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

async function openRecord(record: RunRecord, { first, ...opening }: Opening, unwritten: StepEntry[]): Promise<void> {
  const { workflowId, workflowType, firstExecutionRunId: runId } = workflowInfo();
  const { trigger, modelName, dataset, steps } = opening;
  await record.open({ runId, workflowId, workflow: workflowType, trigger, modelName, dataset, steps }, first);
  if (first) unwritten.push({ name: first, status: 'completed' });
}

function closeRecord(record: RunRecord, { last }: Opening, unwritten: StepEntry[], end: PipelineEnd): Promise<void> {
  if (last && end.status === 'completed') unwritten.push({ name: last, status: 'completed' });
  const { firstExecutionRunId: runId } = workflowInfo();
  return CancellationScope.nonCancellable(() => record.close(runId, unwritten, end, last));
}
