import { Histogram, type Registry } from 'prom-client';
import { releaseReasons, type ReleaseReason } from '../../../model/serving/batch-limit.js';

export interface BatchMetrics {
  /** Counts the images of a batch, and the reason for its release. */
  countBatch(images: number, reason: ReleaseReason): void;
}

export function createBatchMetrics(registry: Registry): BatchMetrics {
  const items = new Histogram({
    name: 'mlops_batch_items',
    help: 'Images of each batch of an inference thread, by reason of its release',
    labelNames: ['reason'],
    buckets: [1, 2, 4, 8],
    registers: [registry],
  });
  for (const reason of releaseReasons) items.zero({ reason });
  return { countBatch: (images, reason) => items.observe({ reason }, images) };
}
