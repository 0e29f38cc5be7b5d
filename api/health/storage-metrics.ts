import { Counter, Gauge, type Registry } from 'prom-client';
import { storageUses, type StorageGuard, type StorageUse } from '../../platform/storage-guard.js';

export interface StorageMetrics {
  countStorageRefusal(use: StorageUse): void;
  /** Sets what a scrape measures. */
  watchStorage(storage: Pick<StorageGuard, 'state'>): void;
}

/** Series of the disk of the data folder. */
export function createStorageMetrics(registry: Registry): StorageMetrics {
  const registers = [registry];
  const refusals = new Counter({
    name: 'mlops_storage_refusals_total',
    help: 'Uploads and runs refused, and captured images and journal files not written, because the disk has too little space',
    labelNames: ['use'],
    registers,
  });
  for (const use of storageUses) refusals.inc({ use }, 0);
  return {
    countStorageRefusal: (use) => refusals.inc({ use }),
    watchStorage(storage) {
      new Gauge({
        name: 'mlops_storage_free_bytes',
        help: 'Free space of the disk of the data folder',
        registers,
        async collect() {
          const { freeBytes } = await storage.state();
          if (freeBytes !== null) this.set(freeBytes);
        },
      });
      new Gauge({
        name: 'mlops_storage_min_free_bytes',
        help: 'Free space below which uploads and runs are refused',
        registers,
        async collect() {
          this.set((await storage.state()).minFreeBytes);
        },
      });
    },
  };
}
