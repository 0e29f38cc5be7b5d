import { PerennialError } from '../../contracts/errors.js';
import { batchFormats, type BatchFormat } from '../../contracts/batch-predictions/batch-predictions.js';
import { batchParams } from '../../contracts/batch-predictions/http-batch-predictions.js';
import type {
  BatchPrediction,
  ResultFile,
  BatchPredictionStore,
} from '../../stores/batch-predictions/batch-predictions.js';
import { defineRoute, text, type Route } from '../http/route.js';
import { sendObject } from '../http/send.js';
import { batchPath } from './batch-view.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';

export interface BatchResultDependencies {
  batchPredictions: Pick<BatchPredictionStore, 'get'>;
  objects: Pick<ObjectStore, 'open'>;
}

const contentTypes: Record<BatchFormat, string> = {
  parquet: 'application/vnd.apache.parquet',
  csv: 'text/csv; charset=utf-8',
  json: 'application/json',
};

/** The results of batch predictions, one route per format. */
export function batchResultRoutes(dependencies: BatchResultDependencies): Route[] {
  return batchFormats.map((format) => resultRoute(dependencies, format));
}

function resultRoute({ batchPredictions, objects }: BatchResultDependencies, format: BatchFormat): Route {
  return defineRoute({
    method: 'get',
    path: `${batchPath}/{id}/results.${format}`,
    operationId: `getBatchResults${format[0]?.toUpperCase() ?? ''}${format.slice(1)}`,
    summary: `The results of a batch prediction as ${format === 'parquet' ? 'Parquet' : format.toUpperCase()}`,
    tag: 'predictions',
    params: batchParams,
    success: text(contentTypes[format], 'One row per image, in the order of the list'),
    problems: ['bad_request', 'not_found', 'conflict', 'database_unavailable', 'object_store_unavailable'],
    async handle({ params: { id }, request, response }) {
      const { objectKey, sha256, sizeBytes } = resultOf(await batchPredictions.get(id), format);
      const headers = {
        ETag: `"${sha256}"`,
        'Cache-Control': 'private, no-cache',
        'Content-Type': contentTypes[format],
        'Content-Length': String(sizeBytes),
        'Content-Disposition': `attachment; filename="batch-prediction-${id}.${format}"`,
      };
      await sendObject(request, response, headers, () => objects.open(objectKey));
      return { body: '' };
    },
  });
}

function resultOf(job: BatchPrediction, format: BatchFormat): ResultFile {
  const { id, status, items, done, order, erasedAt, error } = job;
  const found = job.results.find((result) => result.format === format);
  if (found) return found;
  if (erasedAt !== null) {
    throw new PerennialError('not_found', `The results of ${id} were erased because they contained an erased image.`);
  }
  if (!order.formats.includes(format)) {
    throw new PerennialError(
      'not_found',
      `Batch prediction ${id} was requested with the formats ${order.formats.join(', ')} only.`,
    );
  }
  if (status === 'waiting' || status === 'running') {
    throw new PerennialError('conflict', `Batch prediction ${id} is running: ${done} of ${items ?? '?'} images.`);
  }
  throw new PerennialError('not_found', `Batch prediction ${id} has no results (${error?.message ?? status}).`);
}
