import { randomUUID } from 'node:crypto';
import type { BatchItem, BatchList, BatchSource } from '../../contracts/batch-predictions/batch-predictions.js';
import { PerennialError } from '../../contracts/errors.js';
import { batchListKey, batchListPrefix, rawImageKey } from '../../stores/objects/object-keys.js';
import type { Report } from '../runtime/heartbeat.js';
import type { BatchPredictionDependencies } from './dependencies.js';

/** Images in a chunk: some seconds of work, and the most that a killed worker has to repeat. */
export const itemsPerChunk = 100;

/** Images of a dataset whose metadata is read with one query. */
const factsAtOnce = 1_000;

/**
 * Lists the images of a job once, as numbered objects; images added to the source later are not part of the job. Returns
 * an existing list unchanged. Throws `source_empty`, `not_found`, or `conflict` for an upload that was deleted.
 */
export async function listItems(
  deps: BatchPredictionDependencies,
  jobId: string,
  report: Report,
  signal: AbortSignal,
): Promise<BatchList> {
  const stored = await deps.batchPredictions.listOf(jobId);
  if (stored) return stored;
  const { order } = await deps.batchPredictions.get(jobId);
  const listPrefix = batchListPrefix(jobId, randomUUID());
  let items = 0;
  let chunks = 0;
  let chunk: BatchItem[] = [];
  const flush = async (): Promise<void> => {
    signal.throwIfAborted();
    await deps.objects.put(batchListKey(listPrefix, chunks), Buffer.from(JSON.stringify(chunk)), 'application/json');
    items += chunk.length;
    chunks += 1;
    chunk = [];
    report({ listed: items });
  };
  for await (const item of itemsOf(deps, order.source)) {
    chunk.push(item);
    if (chunk.length === itemsPerChunk) await flush();
  }
  if (chunk.length > 0) await flush();
  if (items === 0) throw emptySourceError(order.source);
  return deps.batchPredictions.setList(jobId, { listPrefix, items, chunks });
}

function itemsOf(deps: BatchPredictionDependencies, source: BatchSource): AsyncIterable<BatchItem> {
  switch (source.kind) {
    case 'prefix':
      return objectsBelow(deps, source.prefix);
    case 'dataset':
      return datasetItems(deps, source.dataset, source.version);
    case 'upload':
      return uploadItems(deps, source.uploadId);
  }
}

async function* objectsBelow({ objects }: BatchPredictionDependencies, prefix: string): AsyncGenerator<BatchItem> {
  for await (const { key, sizeBytes } of objects.list(prefix)) {
    // Some S3 browsers create such empty objects for folders.
    if (key.endsWith('/')) continue;
    yield { name: key, objectKey: key, sizeBytes, label: null };
  }
}

async function* datasetItems(
  { datasets }: BatchPredictionDependencies,
  dataset: string,
  version: number,
): AsyncGenerator<BatchItem> {
  const examples = await datasets.examples(dataset, version);
  for (let from = 0; from < examples.length; from += factsAtOnce) {
    const some = examples.slice(from, from + factsAtOnce);
    const facts = await datasets.imageFacts(some.map(({ sha256 }) => sha256));
    const factsOf = new Map(facts.map((each) => [each.sha256, each]));
    for (const { sha256, label } of some) {
      const { md5, sizeBytes } = factsOf.get(sha256) ?? { md5: '', sizeBytes: 0 };
      yield { name: sha256, objectKey: rawImageKey(md5), sizeBytes, label };
    }
  }
}

async function* uploadItems({ uploads }: BatchPredictionDependencies, uploadId: string): AsyncGenerator<BatchItem> {
  const { isDiscarded } = await uploads.getUpload(uploadId);
  if (isDiscarded) {
    throw new PerennialError('conflict', `The files of upload ${uploadId} were deleted. Send the images again.`);
  }
  for (const { name, objectKey, sizeBytes } of await uploads.uploadFiles(uploadId)) {
    yield { name, objectKey, sizeBytes, label: null };
  }
}

function emptySourceError(source: BatchSource): PerennialError {
  const where = {
    prefix: (): string => `below ${source.kind === 'prefix' ? source.prefix : ''} in the bucket`,
    dataset: (): string => 'in this version of the dataset',
    upload: (): string => 'in the upload',
  }[source.kind];
  return new PerennialError('source_empty', `There are no objects ${where()}. Put images there and start again.`);
}
