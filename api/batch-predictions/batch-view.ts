import type { z } from 'zod';
import type { BatchResult } from '../../contracts/batch-predictions/batch-predictions.js';
import type {
  batchPredictionViewSchema,
  batchResultViewSchema,
} from '../../contracts/batch-predictions/http-batch-predictions.js';
import type { BatchPrediction } from '../../stores/batch-predictions/batch-predictions.js';

type View = z.input<typeof batchPredictionViewSchema>;

export const batchPath = '/api/v1/batch-predictions';

/** A batch prediction in the spelling of HTTP. */
export function batchPredictionView(job: BatchPrediction, now = Date.now()): View {
  const { order, items, done } = job;
  const rate = rateOf(job);
  const isUnderWay = job.status === 'running' && rate !== null && items !== null;
  return {
    id: job.id,
    status: job.status,
    model_name: order.modelName,
    model_version: String(order.version),
    source: sourceView(order.source),
    formats: order.formats,
    started_by: job.startedBy,
    total: items,
    done,
    failed: job.failed,
    predicted: job.predicted,
    images_per_second: rate,
    estimated_end: isUnderWay ? new Date(now + ((items - done) / rate) * 1_000).toISOString() : null,
    created_at: job.createdAt,
    started_at: job.startedAt,
    ended_at: job.endedAt,
    erased_at: job.erasedAt,
    error: job.error,
    results: job.results.map(({ format, sha256, sizeBytes }) => ({
      format,
      url: `${batchPath}/${job.id}/results.${format}`,
      sha256,
      size_bytes: sizeBytes,
    })),
    status_url: `${batchPath}/${job.id}`,
    pipeline_url: job.runId === null ? null : `/api/v1/pipelines/${job.runId}`,
  };
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
