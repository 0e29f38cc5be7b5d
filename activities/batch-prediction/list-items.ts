import { randomUUID } from 'node:crypto';
import type { BatchItem, BatchList, BatchSource } from '../../contracts/batch-predictions/batch-predictions.js';
import { PerennialError } from '../../contracts/errors.js';
import { batchListKey, batchListPrefix, rawImageKey } from '../../stores/objects/object-keys.js';
import type { Report } from '../runtime/heartbeat.js';
import type { BatchPredictionDependencies } from './dependencies.js';

/** Images of a chunk: some seconds of work, what a killed worker has to do again at most. */
export const itemsPerChunk = 100;

/** Images of a dataset whose facts are read at once. */
const factsAtOnce = 1_000;

/**
 * Lists the images of a job once, as numbered objects: what comes to the source later is no part of it. A list that is
 * there is given as it is. Throws `source_empty`, `not_found`, or `conflict` for an upload that is gone.
 */
export async function listItems(
  deps: BatchPredictionDependencies,
  jobId: string,
  report: Report,
  signal: AbortSignal,
): Promise<BatchList> {
  const present = await deps.batchPredictions.listOf(jobId);
  if (present) return present;
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
  if (items === 0) throw nothingThere(order.source);
  return deps.batchPredictions.setList(jobId, { listPrefix, items, chunks });
}

function itemsOf(deps: BatchPredictionDependencies, source: BatchSource): AsyncIterable<BatchItem> {
  switch (source.kind) {
    case 'prefix':
      return below(deps, source.prefix);
    case 'dataset':
      return members(deps, source.dataset, source.version);
    case 'upload':
      return uploaded(deps, source.uploadId);
  }
}

async function* below({ objects }: BatchPredictionDependencies, prefix: string): AsyncGenerator<BatchItem> {
  for await (const { key, sizeBytes } of objects.list(prefix)) {
    // Programs that show a bucket as folders leave such marks.
    if (key.endsWith('/')) continue;
    yield { name: key, objectKey: key, sizeBytes, label: null };
  }
}

async function* members(
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

async function* uploaded({ uploads }: BatchPredictionDependencies, uploadId: string): AsyncGenerator<BatchItem> {
  const { isDiscarded } = await uploads.getUpload(uploadId);
  if (isDiscarded) {
    throw new PerennialError('conflict', `The files of upload ${uploadId} are gone. Send the images again.`);
  }
  for (const { name, objectKey, sizeBytes } of await uploads.uploadFiles(uploadId)) {
    yield { name, objectKey, sizeBytes, label: null };
  }
}

function nothingThere(source: BatchSource): PerennialError {
  const where = {
    prefix: (): string => `below ${source.kind === 'prefix' ? source.prefix : ''} in the bucket`,
    dataset: (): string => 'in this version of the dataset',
    upload: (): string => 'in the upload',
  }[source.kind];
  return new PerennialError('source_empty', `There are no objects ${where()}. Put images there and start again.`);
}
