import { accessSync, closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { messageOf, PerennialError, systemCodeOf } from '../../contracts/errors.js';
import { bytePath, joinBytes, pathOf, storedBytes } from '../../platform/folder-names.js';
import { isInside } from '../../platform/is-inside.js';
import { tooLarge, type SourceBytes } from './source-bytes.js';

export interface FileToRead {
  /** Folder that the file must be in. */
  root: string;
  /** Below it, as `storedPath` gives it. */
  path: string;
  maxBytes: number;
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

/**
 * Reads a file of a source folder. For threads: the calls that wait for each other in this thread cost a tenth of those
 * that a pool of threads makes.
 * @throws PerennialError source_not_found when the folder has disappeared
 */
export function readBelow({ root, path, maxBytes }: FileToRead): SourceBytes {
  try {
    const folder = bytePath(root);
    const real = realpathSync.native(pathOf(joinBytes(folder, storedBytes(path))), 'latin1');
    if (!isInside(folder, real)) {
      return { reason: 'link_outside_source', detail: 'The link points outside the source folder.' };
    }
    return readRegularFile(pathOf(real), maxBytes);
  } catch (error) {
    const code = systemCodeOf(error);
    if (!fileErrorCodes.has(code)) throw error;
    requireFolder(root);
    return { reason: 'unreadable', detail: `The file cannot be read: ${messageOf(error)}` };
  }
}

function requireFolder(root: string): void {
  try {
    accessSync(root);
  } catch (cause) {
    throw new PerennialError(
      'source_not_found',
      `The folder ${root} disappeared while it was read. Make it available and start the ingestion again.`,
      { cause },
    );
  }
}

/** Opens without blocking, so that a pipe in place of a file cannot hang the worker. */
function readRegularFile(path: Buffer, maxBytes: number): SourceBytes {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const facts = fstatSync(file);
    if (!facts.isFile()) return { reason: 'unreadable', detail: 'This is not a regular file.' };
    if (facts.size > maxBytes) return tooLarge(facts.size, maxBytes);
    const bytes = new Uint8Array(facts.size);
    return { bytes: bytes.subarray(0, readInto(file, bytes)) };
  } finally {
    closeSync(file);
  }
}

/** Fills the bytes as far as the file goes, and says how far. */
function readInto(file: number, bytes: Uint8Array): number {
  let read = 0;
  while (read < bytes.length) {
    const more = readSync(file, bytes, read, bytes.length - read, read);
    if (more === 0) return read;
    read += more;
  }
  return read;
}
