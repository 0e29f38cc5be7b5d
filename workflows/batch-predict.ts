import {
  CancellationScope,
  ContinueAsNew,
  continueAsNew,
  isCancellation,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { BatchPredictionActivities } from '../activities/batch-prediction/activities.js';
import type { BatchInput, BatchList, BatchResult } from '../contracts/batch-predictions/batch-predictions.js';
import { batchSteps } from '../contracts/names.js';
import { recordOptions, storageOptions } from './activity-options.js';
import { endingOf } from './failure.js';
import { recordPipeline } from './pipeline-record.js';
import type { StepTracker } from './progress.js';

const { listBatchItems, predictBatchChunk, mergeBatchResults, discardBatchUpload } =
  proxyActivities<BatchPredictionActivities>(storageOptions);
const { beginBatch, closeBatch } = proxyActivities<BatchPredictionActivities>(recordOptions);
// A failed job does not wait for days to merge its results.
const { mergeBatchResults: mergePartialResults } = proxyActivities<BatchPredictionActivities>({
  ...storageOptions,
  scheduleToCloseTimeout: '10 min',
});

/** Two: while one chunk is predicted, the images of the next are read. */
const chunksAtOnce = 2;
/** Chunks after which the workflow continues as new, with an empty history. */
const chunksPerRun = 200;

/** State that a run passes to the run that continues it. */
interface Continuation {
  list: BatchList;
  firstChunk: number;
  done: number;
}

/** Predicts every image of a list, chunk by chunk. If it ends early, the images predicted so far become its results. */
export async function batchPredict(input: BatchInput, continuation?: Continuation): Promise<BatchResult> {
  const { jobId, modelName, dataset } = input;
  return recordPipeline({ trigger: 'manual', modelName, dataset, steps: batchSteps }, async (progress) => {
    try {
      const list = await progress.step(
        'list_items',
        async () => continuation?.list ?? (await beginList(jobId)),
        ({ items }) => `${items} images`,
      );
      await progress.step('predict', () =>
        predictAll(progress, input, continuation ?? { list, firstChunk: 0, done: 0 }),
      );
      const result = await progress.step('merge_results', () => mergeBatchResults({ jobId }), describeResult);
      await discardBatchUpload({ jobId });
      await closeBatch({ jobId, end: { status: 'completed', error: null } });
      return result;
    } catch (error) {
      if (!(error instanceof ContinueAsNew)) await closeEarly(jobId, error);
      throw error;
    }
  });
}

async function beginList(jobId: string): Promise<BatchList> {
  await beginBatch({ jobId, runId: workflowInfo().firstExecutionRunId });
  return listBatchItems({ jobId });
}

/** Predicts the chunks, some concurrently; continues as new when the history has grown long. */
async function predictAll(
  progress: StepTracker,
  input: BatchInput,
  { list, firstChunk, done }: Continuation,
): Promise<void> {
  const end = Math.min(list.chunks, firstChunk + chunksPerRun);
  let next = firstChunk;
  let items = done;
  const worker = async (): Promise<void> => {
    while (next < end) {
      const chunk = next;
      next += 1;
      items += (await predictBatchChunk({ jobId: input.jobId, chunk })).items;
      progress.note('predict', `${items} of ${list.items} images`);
    }
  };
  await runTogether(Array.from({ length: chunksAtOnce }, () => worker));
  if (end < list.chunks) await continueAsNew<typeof batchPredict>(input, { list, firstChunk: end, done: items });
}

/** Runs tasks concurrently. The first failure cancels the others and is thrown when all have stopped. */
async function runTogether(tasks: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  await CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    await Promise.all(
      tasks.map((task) =>
        task().catch((error: unknown) => {
          failures.push(error);
          scope.cancel();
        }),
      ),
    );
  });
  if (failures.length > 0) throw failures.find((failure) => !isCancellation(failure)) ?? failures[0];
}

/** Merges the results so far and records how the job ended, also when the run was cancelled. */
async function closeEarly(jobId: string, error: unknown): Promise<void> {
  // Outside the scope below, in which nothing counts as cancelled.
  const { status, error: failure } = endingOf(error);
  await CancellationScope.nonCancellable(async () => {
    // If merging fails, the results are missing; the reason why the job ended matters more.
    await mergePartialResults({ jobId }).catch(() => undefined);
    await closeBatch({ jobId, end: { status, error: failure } });
  });
}

function describeResult({ items, failed }: BatchResult): string {
  return failed === 0 ? `${items} images` : `${items} images, ${failed} without a prediction`;
}
