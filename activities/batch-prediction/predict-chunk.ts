import { hash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import {
  batchItemSchema,
  type BatchItem,
  type BatchRow,
  type ChunkResult,
} from '../../contracts/batch-predictions/batch-predictions.js';
import { errorCodeOf, errorTable, messageOf, PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { readJson } from '../../platform/validation/json-file.js';
import { chooseAbstention } from '../../domain/predictions/abstention.js';
import { batchListKey, batchPartKey } from '../../stores/objects/object-keys.js';
import { concurrently } from '../../platform/concurrently.js';
import type { BackgroundEngine } from './background-engines.js';
import type { Report } from '../runtime/heartbeat.js';
import type { BatchPredictionDependencies } from './dependencies.js';
import { itemsPerChunk } from './list-items.js';

/** Images read from the object store while one is predicted. */
const readsAtOnce = 4;

/** Errors of a single image that a retry cannot fix. */
const imageErrors: readonly ErrorCode[] = [
  'undecodable_image',
  'image_too_large',
  'image_too_small',
  'unsupported_type',
  'too_large',
  'not_found',
];

/**
 * Predicts one chunk of a job's list: writes its rows to an object, then a database row that marks the chunk as done. A
 * finished chunk is not repeated. Throws `not_found` when the model version was deleted, `conflict` when the job was
 * erased.
 */
export async function predictChunk(
  deps: BatchPredictionDependencies,
  { jobId, chunk }: { jobId: string; chunk: number },
  report: Report,
  signal: AbortSignal,
): Promise<ChunkResult> {
  const stored = await deps.batchPredictions.chunk(jobId, chunk);
  if (stored) return stored;
  const { order, erasedAt } = await deps.batchPredictions.get(jobId);
  if (erasedAt !== null) throw jobErasedError(jobId);
  const list = await deps.batchPredictions.listOf(jobId);
  if (!list) throw new PerennialError('internal', `Batch prediction ${jobId} has no list of images.`);
  const version = await deps.registry.get(order.modelName, order.version);
  const listed = Buffer.from(await deps.objects.get(batchListKey(list.listPrefix, chunk))).toString();
  const items = readJson(z.array(batchItemSchema), listed);
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
  return storeRows(deps, jobId, chunk, await withoutErased(deps, rows));
}

function jobErasedError(jobId: string): PerennialError {
  return new PerennialError('conflict', `Batch prediction ${jobId} was erased while it ran. Start a new one.`);
}

async function predictItem(
  { objects, maxImageBytes }: BatchPredictionDependencies,
  engine: BackgroundEngine,
  { name, objectKey, sizeBytes, label }: BatchItem,
  item: number,
): Promise<BatchRow> {
  const row = { ...emptyRow, item, name, label };
  try {
    if (sizeBytes > maxImageBytes) {
      throw new PerennialError('too_large', `The image has ${sizeBytes} bytes; at most ${maxImageBytes} are accepted.`);
    }
    const bytes = await objects.get(objectKey);
    const imageSha256 = hash('sha256', bytes);
    const { label: prediction, ...answer } = await engine.predict(bytes);
    return { ...row, ...answer, prediction, imageSha256 };
  } catch (error) {
    const code = errorCodeOf(error);
    if (!imageErrors.includes(code)) throw error;
    return {
      ...row,
      errorCode: code,
      error: code === 'not_found' ? 'The image is no longer in the bucket.' : messageOf(error),
    };
  }
}

const emptyRow = {
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

/** Blanks the predictions of erased images: copies of their bytes may still be elsewhere in the bucket. */
async function withoutErased(
  { batchPredictions }: BatchPredictionDependencies,
  rows: readonly BatchRow[],
): Promise<BatchRow[]> {
  const images = rows.flatMap(({ imageSha256 }) => imageSha256 ?? []);
  const erased = new Set(await batchPredictions.erasedAmong(images));
  return rows.map(({ item, name, label, ...answer }) =>
    answer.imageSha256 !== null && erased.has(answer.imageSha256)
      ? { ...emptyRow, item, name, label, errorCode: 'not_found', error: 'This image was erased on request.' }
      : { item, name, label, ...answer },
  );
}

async function storeRows(
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
    // When the database refuses the chunk, delete its object. Otherwise the next attempt writes its own.
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
