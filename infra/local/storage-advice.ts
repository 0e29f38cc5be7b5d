import { messageOf, systemFault, systemCodeOf } from '../../contracts/errors.js';
import { createStorageGuard, megabytes } from '../../platform/storage-guard.js';

/** Below this a service may be unable to start: Postgres writes its files in pieces of 16 MB. */
const startBytes = 32_000_000;

/** What services print about a disk that they cannot write. */
const printed = /no space left on device|disk quota exceeded|read-only file system|database or disk is full/i;

/** What to do after a start that failed because of a full or read-only disk; null when that is not the cause. */
export async function storageAdvice(home: string, error: unknown): Promise<string | null> {
  const { freeBytes, shortage } = await createStorageGuard({ folders: [home], minFreeBytes: startBytes }).measure();
  const isDenied = systemCodeOf(error) === 'EACCES';
  const isCause = systemFault(error)?.code === 'insufficient_storage' || isDenied || printed.test(messageOf(error));
  if (!isCause && shortage === null) return null;
  const free = freeBytes === null ? '' : ` Its disk has ${megabytes(freeBytes)} free.`;
  return (
    `Perennial cannot write to its data folder ${home}.${free} Make room there and check that this user may write ` +
    'to it, or set PERENNIAL_HOME to a folder on another disk. Then start again; no process was left running.'
  );
}
