import { megabytes, type StorageGuard } from '../../platform/storage-guard.js';
import type { Probe } from './health.js';

/** Reports the free space of the data folder; fails while uploads and runs are refused. Readiness does not depend on it. */
export function storageProbe(storage: Pick<StorageGuard, 'state'>): Probe {
  return async () => {
    const { freeBytes, minFreeBytes, shortage } = await storage.state();
    if (shortage !== null) throw new Error(shortage);
    if (freeBytes === null) return 'the file system does not report its free space';
    return `${megabytes(freeBytes)} free; uploads and runs are refused below ${megabytes(minFreeBytes)}`;
  };
}
