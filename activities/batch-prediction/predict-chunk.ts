import { hash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import {
  batchItemSchema,
  type BatchItem,
  type BatchRow,
  type ChunkResult,
} from '../../contracts/batch-predictions/batch-predictions.js';
import { errorCodeOf, errorTable, messageOf, PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { chooseAbstention } from '../../domain/predictions/abstention.js';
import { batchListKey, batchPartKey } from '../../stores/objects/object-keys.js';
import { concurrently } from '../../platform/concurrently.js';
import type { BackgroundEngine } from './background-engines.js';
import type { Report } from '../runtime/heartbeat.js';
import type { BatchPredictionDependencies } from './dependencies.js';
import { itemsPerChunk } from './list-items.js';

/** Images on their way from the object store while one is looked at. */
const readsAtOnce = 4;

/** Codes by which an image says that it cannot be predicted, now or ever. */
const faultsOfImage: readonly ErrorCode[] = [
  'undecodable_image',
  'image_too_large',
  'image_too_small',
  'unsupported_type',
  'too_large',
  'not_found',
];

/**
 * Predicts one chunk of a job's list: an object with its rows, and a row of the record by which the chunk is done. A
 * chunk that is done is not done again. Throws `not_found` when the model version was deleted, `conflict` when the job
 * was erased.
 */
export async function predictChunk(
  deps: BatchPredictionDependencies,
  { jobId, chunk }: { jobId: string; chunk: number },
  report: Report,
  signal: AbortSignal,
): Promise<ChunkResult> {
  const known = await deps.batchPredictions.chunk(jobId, chunk);
  if (known) return known;
  const { order, erasedAt } = await deps.batchPredictions.get(jobId);
  if (erasedAt !== null) throw erasedJob(jobId);
  const list = await deps.batchPredictions.listOf(jobId);
  if (!list) throw new PerennialError('internal', `Batch prediction ${jobId} has no list of images.`);
  const version = await deps.registry.get(order.modelName, order.version);
  const items = z
    .array(batchItemSchema)
    .parse(JSON.parse(Buffer.from(await deps.objects.get(batchListKey(list.listPrefix, chunk))).toString()));
  let done = 0;
  const rows = await deps.engines.use(version, (engine) => {
    const { threshold } = chooseAbstention(engine.riskCurve, order.targetRisk);
    const predictOne = async (item: BatchItem, index: number): Promise<BatchRow> => {
      const row = await predictItem(deps, engine, item, chunk * itemsPerChunk + index);
      report({ chunk, done: ++done, of: items.length });
      return { ...row, abstained: row.confidence === null ? null : row.confidence < (threshold ?? 0) };
    };
    return concurrently(items, readsAtOnce, predictOne, signal);
  });
  return keep(deps, jobId, chunk, await withoutErased(deps, rows));
}

function erasedJob(jobId: string): PerennialError {
  return new PerennialError('conflict', `Batch prediction ${jobId} was erased while it ran. Start a new one.`);
}

async function predictItem(
  { objects, maxImageBytes }: BatchPredictionDependencies,
  engine: BackgroundEngine,
  { name, objectKey, sizeBytes, label }: BatchItem,
  item: number,
): Promise<BatchRow> {
  const row = { ...nothingSeen, item, name, label };
  try {
    if (sizeBytes > maxImageBytes) {
      throw new PerennialError('too_large', `It has ${sizeBytes} bytes; at most ${maxImageBytes} are accepted.`);
    }
    const bytes = await objects.get(objectKey);
    const imageSha256 = hash('sha256', bytes);
    const { label: prediction, ...seen } = await engine.predict(bytes);
    return { ...row, ...seen, prediction, imageSha256 };
  } catch (error) {
    const code = errorCodeOf(error);
    if (!faultsOfImage.includes(code)) throw error;
    return {
      ...row,
      errorCode: code,
      error: code === 'not_found' ? 'It is no longer in the bucket.' : messageOf(error),
    };
  }
}

const nothingSeen = {
  imageSha256: null,
  prediction: null,
  confidence: null,
  probabilities: [],
  variant: null,
  abstained: null,
  unfamiliar: null,
  distance: null,
  errorCode: null,
  error: null,
};

/** The bytes of an image that was erased may lie at other places still; what it shows is not told again. */
async function withoutErased(
  { batchPredictions }: BatchPredictionDependencies,
  rows: readonly BatchRow[],
): Promise<BatchRow[]> {
  const images = rows.flatMap(({ imageSha256 }) => imageSha256 ?? []);
  const erased = new Set(await batchPredictions.erasedAmong(images));
  return rows.map(({ item, name, label, ...seen }) =>
    seen.imageSha256 !== null && erased.has(seen.imageSha256)
      ? { ...nothingSeen, item, name, label, errorCode: 'not_found', error: 'This image was erased on request.' }
      : { item, name, label, ...seen },
  );
}

async function keep(
  { batchPredictions, objects }: BatchPredictionDependencies,
  jobId: string,
  chunk: number,
  rows: readonly BatchRow[],
): Promise<ChunkResult> {
  const bytes = Buffer.from(JSON.stringify(rows));
  const objectKey = batchPartKey(jobId, chunk, randomUUID());
  await objects.put(objectKey, bytes, 'application/json');
  try {
    const part = await batchPredictions.addChunk(jobId, {
      chunk,
      objectKey,
      sha256: hash('sha256', bytes),
      items: rows.length,
      failed: rows.filter(({ prediction }) => prediction === null).length,
      predicted: countsOf(rows),
      images: [...new Set(rows.flatMap(({ imageSha256 }) => imageSha256 ?? []))],
    });
    if (part.objectKey !== objectKey) await objects.delete(objectKey);
    return { items: part.items, failed: part.failed };
  } catch (error) {
    // Where the record refuses it, nothing may be left; else another attempt writes one of its own.
    if (!errorTable[errorCodeOf(error)].retryable) await objects.delete(objectKey);
    throw error;
  }
}

function countsOf(rows: readonly BatchRow[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { prediction } of rows) {
    if (prediction !== null) counts.set(prediction, (counts.get(prediction) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
}
