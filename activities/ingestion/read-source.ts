import { constants } from 'node:fs';
import { access, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { QuarantineReason } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, messageOf, PerennialError } from '../../contracts/errors.js';
import type { Ingestion } from '../../stores/datasets/ingestions.js';
import type { IngestionDependencies } from './dependencies.js';
import { isInside } from './is-inside.js';
import { uploadPath } from './scan-source.js';

export type SourceBytes = { bytes: Uint8Array } | { reason: QuarantineReason; detail: string };

/** Reads one file of a source whole, or says why not. */
export type ReadSource = (path: string) => Promise<SourceBytes>;

/** The way to read the files of an ingestion's source; none above `MAX_UPLOAD_BYTES` is read. */
export async function sourceReader(deps: IngestionDependencies, { kind, locator }: Ingestion): Promise<ReadSource> {
  const { uploads, objects, config } = deps;
  const maxBytes = config.MAX_UPLOAD_BYTES;
  if (kind === 'labels') return labelReader(deps, locator);
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

/** Labelled pictures are kept without a limit of their own: what was predicted was within it. */
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
    return { reason: 'unreadable', detail: 'The picture was erased, or its label was taken back.' };
  };
}

/** What a file can be like; everything else that goes wrong is the machine's trouble and worth another try. */
const faultsOfFile = new Set([
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
    const real = await realpath(join(root, path));
    if (!isInside(root, real)) {
      return { reason: 'link_outside_source', detail: 'The link leads out of the source folder.' };
    }
    return await readRegularFile(real, maxBytes);
  } catch (error) {
    const code: unknown = error instanceof Error && 'code' in error ? error.code : '';
    if (typeof code !== 'string' || !faultsOfFile.has(code)) throw error;
    await access(root).catch((cause: unknown) => {
      throw new PerennialError(
        'source_not_found',
        `The folder ${root} went away while it was read. Bring it back and start the ingestion again.`,
        { cause },
      );
    });
    return { reason: 'unreadable', detail: `The file cannot be read: ${messageOf(error)}` };
  }
}

/** Opened without waiting, so that a pipe put in the place of a file cannot hang us. */
async function readRegularFile(path: string, maxBytes: number): Promise<SourceBytes> {
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

function tooLarge(sizeBytes: number, maxBytes: number): SourceBytes {
  return { reason: 'too_many_bytes', detail: `The file has ${sizeBytes} bytes; at most ${maxBytes} are accepted.` };
}
