import { Histogram, type Registry } from 'prom-client';
import { releaseReasons, type ReleaseReason } from '../../../model/serving/batch-limit.js';

export interface BatchMetrics {
  /** Images that an inference thread was given at once, and why no more of them. */
  countBatch(images: number, reason: ReleaseReason): void;
}

export function createBatchMetrics(registry: Registry): BatchMetrics {
  const items = new Histogram({
    name: 'mlops_batch_items',
    help: 'Single images that an inference thread was given at once, by why no more',
    labelNames: ['reason'],
    buckets: [1, 2, 4, 8],
    registers: [registry],
  });
  for (const reason of releaseReasons) items.zero({ reason });
  return { countBatch: (images, reason) => items.observe({ reason }, images) };
}
