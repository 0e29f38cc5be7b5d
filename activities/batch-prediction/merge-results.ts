import { hash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import {
  batchRowSchema,
  type BatchResult,
  type BatchRow,
} from '../../contracts/batch-predictions/batch-predictions.js';
import { PerennialError } from '../../contracts/errors.js';
import { readJson } from '../../platform/validation/json-file.js';
import { createResultFile } from '../../model/predictions/result-files.js';
import { hashFile } from '../../platform/hash-file.js';
import type { BatchPart, ResultFile } from '../../stores/batch-predictions/batch-predictions.js';
import { batchPrefix, batchResultKey, batchWorkPrefix } from '../../stores/objects/object-keys.js';
import { withScratchFolder } from '../runtime/scratch.js';
import type { Report } from '../runtime/heartbeat.js';
import type { BatchPredictionDependencies } from './dependencies.js';

const contentTypes = { parquet: 'application/vnd.apache.parquet', csv: 'text/csv', json: 'application/json' } as const;

/**
 * Merges the rows of all finished chunks into one file for each format, in the order of the list, and deletes the
 * intermediate objects. Throws `conflict` when the job was erased.
 */
export async function mergeResults(
  deps: BatchPredictionDependencies,
  jobId: string,
  report: Report,
  signal: AbortSignal,
): Promise<BatchResult> {
  const { order, results, erasedAt, done, failed, predicted } = await deps.batchPredictions.get(jobId);
  if (erasedAt === null && results.length === 0) {
    const files = await withScratchFolder(deps.scratchFolder, (folder) =>
      writeFiles(deps, { jobId, folder, ...order }, report, signal),
    );
    await deps.batchPredictions.setResults(jobId, files);
  }
  // After an erasure delete all objects: an earlier attempt may have written its files after the erasure deleted them.
  const obsoletePrefix = erasedAt === null ? batchWorkPrefix(jobId) : batchPrefix(jobId);
  await deps.objects.deletePrefix(obsoletePrefix, signal);
  return { jobId, items: done, failed, predicted };
}

interface Merging {
  jobId: string;
  folder: string;
  labels: readonly string[];
  formats: readonly ResultFile['format'][];
}

async function writeFiles(
  { batchPredictions, objects }: BatchPredictionDependencies,
  { jobId, folder, labels, formats }: Merging,
  report: Report,
  signal: AbortSignal,
): Promise<ResultFile[]> {
  const pathOf = (format: string): string => join(folder, `results.${format}`);
  const files = formats.map((format) => createResultFile(format, pathOf(format), labels));
  try {
    let merged = 0;
    for (const part of await batchPredictions.parts(jobId)) {
      signal.throwIfAborted();
      const rows = rowsOf(part, await objects.get(part.objectKey));
      for (const file of files) await file.write(rows);
      report({ merged: (merged += rows.length) });
    }
    for (const file of files) await file.close();
  } finally {
    // While the object store is unavailable this is retried every few seconds: no attempt may leave files open.
    for (const file of files) await file.abandon();
  }
  const stored: ResultFile[] = [];
  for (const format of formats) {
    const objectKey = batchResultKey(jobId, format);
    await objects.putFile(objectKey, pathOf(format), contentTypes[format]);
    stored.push({ format, objectKey, ...(await hashFile(pathOf(format))) });
  }
  return stored;
}

function rowsOf({ objectKey, sha256 }: BatchPart, bytes: Uint8Array): BatchRow[] {
  if (hash('sha256', bytes) === sha256) {
    return readJson(z.array(batchRowSchema), Buffer.from(bytes).toString());
  }
  throw new PerennialError(
    'internal',
    `The object ${objectKey} does not have the SHA-256 of the bytes that were written.`,
  );
}
