import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCodeOf, messageOf, PerennialError, systemCodeOf } from '../../contracts/errors.js';
import type { Ingestion } from '../../stores/datasets/ingestions.js';
import type { IngestionDependencies } from './dependencies.js';
import { bytePath, joinBytes, pathOf, realBytes, storedBytes } from '../../platform/folder-names.js';
import { isInside } from '../../platform/is-inside.js';
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
  const { uploads, objects, config } = deps;
  const maxBytes = config.MAX_UPLOAD_BYTES;
  if (kind === 'labels') return labelReader(deps, locator);
  if (kind === 's3') return (path) => readObject(deps, locator, path);
  if (kind === 'csv') return (path) => readBelow(dirname(locator), path, maxBytes);
  if (kind !== 'upload') return (path) => readBelow(locator, path, maxBytes);
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

/** Errors of a single file, which quarantine it. All other errors are thrown and retried. */
const fileErrorCodes = new Set([
  'ENOENT',
  'EACCES',
  'EPERM',
  'ELOOP',
  'ENOTDIR',
  'EISDIR',
  'EIO',
  'ENXIO',
  'ENAMETOOLONG',
]);

async function readBelow(root: string, path: string, maxBytes: number): Promise<SourceBytes> {
  try {
    const folder = bytePath(root);
    const real = await realBytes(joinBytes(folder, storedBytes(path)));
    if (!isInside(folder, real)) {
      return { reason: 'link_outside_source', detail: 'The link points outside the source folder.' };
    }
    return await readRegularFile(pathOf(real), maxBytes);
  } catch (error) {
    const code = systemCodeOf(error);
    if (!fileErrorCodes.has(code)) throw error;
    await access(root).catch((cause: unknown) => {
      throw new PerennialError(
        'source_not_found',
        `The folder ${root} disappeared while it was read. Make it available and start the ingestion again.`,
        { cause },
      );
    });
    return { reason: 'unreadable', detail: `The file cannot be read: ${messageOf(error)}` };
  }
}

/** Opens without blocking, so that a pipe in place of a file cannot hang the worker. */
async function readRegularFile(path: Buffer, maxBytes: number): Promise<SourceBytes> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const facts = await file.stat();
    if (!facts.isFile()) return { reason: 'unreadable', detail: 'This is not a regular file.' };
    if (facts.size > maxBytes) return tooLarge(facts.size, maxBytes);
    return { bytes: await file.readFile() };
  } finally {
    await file.close();
  }
}
