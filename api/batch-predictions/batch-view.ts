import type { z } from 'zod';
import type { BatchResult } from '../../contracts/batch-predictions/batch-predictions.js';
import {
  batchPredictionViewSchema,
  type batchResultViewSchema,
} from '../../contracts/batch-predictions/http-batch-predictions.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import type { BatchPrediction } from '../../stores/batch-predictions/batch-predictions.js';

type View = z.input<typeof batchPredictionViewSchema>;

export const batchPath = '/api/v1/batch-predictions';

/** A batch prediction as JSON. */
export function batchPredictionView(job: BatchPrediction, now = Date.now()): View {
  const { id, order, items, done, status, runId } = job;
  const rate = rateOf(job);
  const isUnderWay = status === 'running' && rate !== null && items !== null;
  return toSnake(batchPredictionViewSchema, {
    ...job,
    modelName: order.modelName,
    modelVersion: order.version,
    source: sourceView(order.source),
    formats: order.formats,
    total: items,
    imagesPerSecond: rate,
    estimatedEnd: isUnderWay ? new Date(now + ((items - done) / rate) * 1_000).toISOString() : null,
    results: job.results.map((file) => ({ ...file, url: `${batchPath}/${id}/results.${file.format}` })),
    statusUrl: `${batchPath}/${id}`,
    pipelineUrl: runId === null ? null : `/api/v1/pipelines/${runId}`,
  });
}

/** Images a second from the making of the list to the chunk that ended last; null while none has. */
function rateOf({ done, listedAt, lastChunkAt }: BatchPrediction): number | null {
  if (listedAt === null || lastChunkAt === null) return null;
  const seconds = (Date.parse(lastChunkAt) - Date.parse(listedAt)) / 1_000;
  return seconds > 0 ? Number((done / seconds).toPrecision(3)) : null;
}

function sourceView(source: BatchPrediction['order']['source']): View['source'] {
  return source.kind === 'upload' ? { kind: 'upload', upload_id: source.uploadId } : source;
}

export function batchResultView({ jobId, ...counts }: BatchResult): z.input<typeof batchResultViewSchema> {
  return { batch_prediction_id: jobId, ...counts };
}
