import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import {
  CancellationScope,
  executeChild,
  ParentClosePolicy,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import { requestSteps } from '../contracts/names.js';
import type { Source } from '../contracts/datasets/datasets.js';
import type { RetrainingRequest } from '../contracts/retraining/retraining.js';
import type { Decided, RequestActivities } from '../activities/retraining/request-activities.js';
import { recordOptions } from './activity-options.js';
import { failureOf } from './failure.js';
import { ingestDataset } from './ingest-dataset.js';
import { skipped, trackSteps } from './progress.js';

const { foldersToRescan, decideOnRetraining, startDecidedRetraining, noteUnstartedRetraining } =
  proxyActivities<RequestActivities>(recordOptions);

/** Set by Temporal on workflows that a schedule starts: the time at which the run was due. */
const scheduledTimeKey = defineSearchAttributeKey('TemporalScheduledStartTime', SearchAttributeType.DATETIME);

export interface RequestResult extends Decided {
  /** The run that was started or joined; null when the request was skipped. */
  runId: string | null;
}

/**
 * Started by the schedules: looks for new files (continuous training only), decides, and starts the retraining or records
 * the reason why not. The retraining is a separate workflow, one at a time for each model.
 */
export async function requestRetraining(request: RetrainingRequest): Promise<RequestResult> {
  const { workflowId, firstExecutionRunId, typedSearchAttributes } = workflowInfo();
  const requestId = request.requestId ?? firstExecutionRunId;
  const scheduledFor = typedSearchAttributes.get(scheduledTimeKey)?.toISOString() ?? null;
  const progress = trackSteps(requestSteps);
  const notes = await progress.step(
    'look_for_new_files',
    () => lookForNewFiles(request),
    (found) => (looksForNewFiles(request) ? describeNotes(found) : skipped('only continuous training looks for them')),
  );
  const { decision, reason } = await progress.step(
    'decide',
    () => decideOnRetraining({ ...request, requestId, workflowId, scheduledFor, notes }),
    (decided) => decided.reason,
  );
  if (decision === 'skip') await progress.skip('start_retraining', reason);
  const runId =
    decision === 'retrain'
      ? await progress.step(
          'start_retraining',
          () => startRetraining(requestId),
          (run) => `run ${run}`,
        )
      : null;
  progress.end('completed');
  return { decision, reason, runId };
}

async function startRetraining(requestId: string): Promise<string> {
  try {
    return (await startDecidedRetraining({ requestId })).runId;
  } catch (error) {
    const { message } = failureOf(error);
    await CancellationScope.nonCancellable(() => noteUnstartedRetraining({ requestId, message }));
    throw error;
  }
}

/** Scans known folders again, so that added files count. Returns notes about sources that could not be read. */
async function lookForNewFiles(request: RetrainingRequest): Promise<string[]> {
  if (!looksForNewFiles(request)) return [];
  const { modelName, dataset: requested, trigger } = request;
  const { dataset, sources } = await foldersToRescan({ modelName, dataset: requested });
  const notes: string[] = [];
  for (const [index, source] of sources.entries()) {
    const note = await ingest(dataset, source, trigger, index);
    if (note !== null) notes.push(note);
  }
  return notes;
}

/** A folder that cannot be read keeps its images: the decision is made without it, and its reason has a note. */
async function ingest(
  dataset: string,
  source: Source,
  trigger: RetrainingRequest['trigger'],
  index: number,
): Promise<string | null> {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const args: Parameters<typeof ingestDataset> = [{ dataset, source, trigger, requestId: firstExecutionRunId }];
  try {
    const { note } = await executeChild(ingestDataset, {
      workflowId: `${workflowId}-${firstExecutionRunId}-look_for_new_files-${index}`,
      staticSummary: 'look_for_new_files',
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      args,
    });
    return note;
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    return `${failureOf(error).message} Its images stay in the dataset.`;
  }
}

function looksForNewFiles({ kind }: RetrainingRequest): boolean {
  return kind === 'continuous_training';
}

function describeNotes(notes: readonly string[]): string {
  return notes.length === 0 ? 'nothing to report' : notes.join(' ');
}
