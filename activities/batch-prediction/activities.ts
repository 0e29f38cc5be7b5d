import type { BatchList, BatchResult, ChunkResult } from '../../contracts/batch-predictions/batch-predictions.js';
import type { BatchEnd } from '../../stores/batch-predictions/batch-predictions.js';
import { discardUpload } from '../../stores/datasets/uploads.js';
import type { BatchPredictionDependencies } from './dependencies.js';
import { listItems } from './list-items.js';
import { mergeResults } from './merge-results.js';
import { predictChunk } from './predict-chunk.js';
import { withHeartbeat } from '../runtime/heartbeat.js';

/** The steps of a batch prediction. Its state is in Postgres, chunk by chunk, so every step can be repeated. */
export interface BatchPredictionActivities {
  beginBatch(input: { jobId: string; runId: string }): Promise<void>;
  listBatchItems(input: { jobId: string }): Promise<BatchList>;
  predictBatchChunk(input: { jobId: string; chunk: number }): Promise<ChunkResult>;
  mergeBatchResults(input: { jobId: string }): Promise<BatchResult>;
  closeBatch(input: { jobId: string; end: BatchEnd }): Promise<void>;
  /** Deletes the uploaded files of a completed job, unless another job still needs them. */
  discardBatchUpload(input: { jobId: string }): Promise<void>;
}

export function createBatchPredictionActivities(deps: BatchPredictionDependencies): BatchPredictionActivities {
  const { batchPredictions } = deps;
  return {
    beginBatch: ({ jobId, runId }) => batchPredictions.begin(jobId, runId),
    listBatchItems: ({ jobId }) =>
      withHeartbeat(async (report, signal) => {
        const { items, chunks } = await listItems(deps, jobId, report, signal);
        return { items, chunks };
      }),
    predictBatchChunk: (input) =>
      withHeartbeat(async (report, signal) => {
        const { items, failed } = await predictChunk(deps, input, report, signal);
        return { items, failed };
      }),
    mergeBatchResults: ({ jobId }) => withHeartbeat((report, signal) => mergeResults(deps, jobId, report, signal)),
    closeBatch: ({ jobId, end }) => batchPredictions.close(jobId, end),
    discardBatchUpload: ({ jobId }) =>
      withHeartbeat(async () => {
        const { source } = (await batchPredictions.get(jobId)).order;
        if (source.kind !== 'upload' || (await batchPredictions.isUploadWanted(source.uploadId, jobId))) return;
        await discardUpload(deps, source.uploadId);
      }),
  };
}
