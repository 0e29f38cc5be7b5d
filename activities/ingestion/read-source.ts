import { dirname } from 'node:path';
import { errorCodeOf } from '../../contracts/errors.js';
import type { Ingestion } from '../../stores/datasets/ingestions.js';
import type { IngestionDependencies } from './dependencies.js';
import { archiveLimits } from './archive/archive-entry.js';
import { archiveGroups, type FileGroup } from './archive/archive-groups.js';
import { fetchArchive } from './archive/fetch-archive.js';
import { readObject } from './s3/bucket-source.js';
import { uploadPath } from './scan-source.js';
import { tooLarge, type SourceBytes } from './source-bytes.js';

/** Reads a complete file of a source, or returns why it cannot be read. */
type ReadSource = (path: string) => Promise<SourceBytes>;

/**
 * Pending files, those of an archive in groups that are in memory at once. `limit` bounds their number, except that the
 * files of an archive are read in one pass, because each pass begins at its start.
 */
export async function* pendingGroups(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<FileGroup> {
  const { kind, locator, id } = ingestion;
  const isUploadedArchive = kind === 'upload' && (await deps.uploads.getUpload(locator)).label === null;
  const isArchive = kind === 'archive' || isUploadedArchive;
  const files = await deps.ingestions.takePending(id, isArchive ? archiveLimits.entries : limit);
  const paths = files.map(({ path }) => path);
  if (isArchive) {
    const archive = isUploadedArchive ? await fetchArchive(deps, locator) : { path: locator, remove: doNothing };
    try {
      for await (const group of archiveGroups(archive.path, new Set(paths), deps.config.MAX_UPLOAD_BYTES, signal)) {
        yield isUploadedArchive ? { ...group, keepIn: locator } : group;
      }
    } finally {
      await archive.remove();
    }
    return;
  }
  const read = await sourceReader(deps, ingestion);
  yield { paths, read };
}

async function doNothing(): Promise<void> {}

/** Returns a reader for the source of an ingestion. Files above `MAX_UPLOAD_BYTES` are not read. */
async function sourceReader(deps: IngestionDependencies, { kind, locator }: Ingestion): Promise<ReadSource> {
  const { uploads, objects, threads, config } = deps;
  const maxBytes = config.MAX_UPLOAD_BYTES;
  if (kind === 'labels') return labelReader(deps, locator);
  if (kind === 's3') return (path) => readObject(deps, locator, path);
  if (kind === 'csv') return (path) => threads.read({ root: dirname(locator), path, maxBytes });
  if (kind !== 'upload') return (path) => threads.read({ root: locator, path, maxBytes });
  const files = await uploads.uploadFiles(locator);
  const fileAt = new Map(files.map((file) => [uploadPath(file), file]));
  return async (path) => {
    const file = fileAt.get(path);
    if (file && file.sizeBytes > maxBytes) return tooLarge(file.sizeBytes, maxBytes);
    try {
      return { bytes: await objects.get(file?.objectKey ?? path) };
    } catch (error) {
      if (errorCodeOf(error) !== 'not_found') throw error;
      return { reason: 'unreadable', detail: 'The uploaded file is no longer in the object store.' };
    }
  };
}

/** Reads captured images with a label. They need no size limit: the API checked it at the prediction. */
async function labelReader({ labels, objects }: IngestionDependencies, modelName: string): Promise<ReadSource> {
  const accepted = await labels.accepted(modelName);
  const keyOf = new Map(accepted.map(({ predictionId, objectKey }) => [predictionId, objectKey]));
  return async (path) => {
    const key = keyOf.get(path);
    try {
      if (key !== undefined) return { bytes: await objects.get(key) };
    } catch (error) {
      if (errorCodeOf(error) !== 'not_found') throw error;
    }
    return { reason: 'unreadable', detail: 'The image was erased, or its label was withdrawn.' };
  };
}
