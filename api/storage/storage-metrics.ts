import { Gauge, type Registry } from 'prom-client';
import type { StorageMeter } from './storage-meter.js';

/** Space in use by kind, as the last measurement found it: a scrape waits for none. */
export function storageSeries({ known }: Pick<StorageMeter, 'known'>): (registry: Registry) => void {
  return (registry) => {
    const registers = [registry];
    const add = (name: string, help: string, figure: 'bytes' | 'objects'): void => {
      new Gauge({
        name,
        help,
        labelNames: ['kind', 'place'],
        registers,
        collect() {
          this.reset();
          // What cannot be read has no series: 0 would look like an empty disk.
          for (const { kind, place, [figure]: value } of known()?.items ?? []) {
            if (value !== null) this.set({ kind, place }, value);
          }
        },
      });
    };
    add('mlops_storage_bytes', 'Space in use, by kind and by place (bucket, database, disk)', 'bytes');
    add('mlops_storage_objects', 'Objects or files in use, by kind and by place', 'objects');
    new Gauge({
      name: 'mlops_storage_measured_timestamp_seconds',
      help: 'When the space in use was measured; 0 before the first time',
      registers,
      collect() {
        this.set((known()?.measuredAt.getTime() ?? 0) / 1_000);
      },
    });
  };
}
