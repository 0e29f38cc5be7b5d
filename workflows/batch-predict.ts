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
// A job that has failed does not wait for days to write down what it had.
const { mergeBatchResults: mergeWhatIsDone } = proxyActivities<BatchPredictionActivities>({
  ...storageOptions,
  scheduleToCloseTimeout: '10 min',
});

/** While one chunk is predicted, the images of the next are read. */
const chunksAtOnce = 2;
/** Chunks after which the workflow goes on with an empty history. */
const chunksPerRun = 200;

/** What a run hands to the one that continues it. */
interface Handover {
  list: BatchList;
  firstChunk: number;
  done: number;
}

/** Predicts every image of a list, chunk by chunk; what is done when it ends early is kept as results. */
export async function batchPredict(input: BatchInput, handover?: Handover): Promise<BatchResult> {
  const { jobId, modelName, dataset } = input;
  return recordPipeline({ trigger: 'manual', modelName, dataset, steps: batchSteps }, async (story) => {
    try {
      const list = await story.step(
        'list_items',
        async () => handover?.list ?? (await beginList(jobId)),
        ({ items }) => `${items} images`,
      );
      await story.step('predict', () => predictAll(story, input, handover ?? { list, firstChunk: 0, done: 0 }));
      const result = await story.step('merge_results', () => mergeBatchResults({ jobId }), tellResult);
      await discardBatchUpload({ jobId });
      await closeBatch({ jobId, end: { status: 'completed', error: null } });
      return result;
    } catch (error) {
      if (!(error instanceof ContinueAsNew)) await endEarly(jobId, error);
      throw error;
    }
  });
}

async function beginList(jobId: string): Promise<BatchList> {
  await beginBatch({ jobId, runId: workflowInfo().firstExecutionRunId });
  return listBatchItems({ jobId });
}

/** Chunk after chunk, some at once; hands over to a fresh run when this one's history has grown long. */
async function predictAll(story: StepTracker, input: BatchInput, { list, firstChunk, done }: Handover): Promise<void> {
  const end = Math.min(list.chunks, firstChunk + chunksPerRun);
  let next = firstChunk;
  let items = done;
  const lane = async (): Promise<void> => {
    while (next < end) {
      const chunk = next;
      next += 1;
      items += (await predictBatchChunk({ jobId: input.jobId, chunk })).items;
      story.note('predict', `${items} of ${list.items} images`);
    }
  };
  await together(Array.from({ length: chunksAtOnce }, () => lane));
  if (end < list.chunks) await continueAsNew<typeof batchPredict>(input, { list, firstChunk: end, done: items });
}

/** Runs works at once. The first failure cancels the others, and is thrown when all have stopped. */
async function together(works: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  await CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    await Promise.all(
      works.map((work) =>
        work().catch((error: unknown) => {
          failures.push(error);
          scope.cancel();
        }),
      ),
    );
  });
  if (failures.length > 0) throw failures.find((failure) => !isCancellation(failure)) ?? failures[0];
}

/** Keeps what is done and tells how it ended, also when the run was cancelled. */
async function endEarly(jobId: string, error: unknown): Promise<void> {
  // Asked here: within the scope below nothing counts as cancelled.
  const { status, error: told } = endingOf(error);
  await CancellationScope.nonCancellable(async () => {
    // What cannot be merged is told of by the missing results; why the job ended matters more.
    await mergeWhatIsDone({ jobId }).catch(() => undefined);
    await closeBatch({ jobId, end: { status, error: told } });
  });
}

function tellResult({ items, failed }: BatchResult): string {
  return failed === 0 ? `${items} images` : `${items} images, ${failed} without a prediction`;
}
