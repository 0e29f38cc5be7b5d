import type { z } from 'zod';
import type { datasetChangeSchema } from '../../contracts/datasets/corrections.js';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import { planVersion, type DatasetState, type VersionPlan } from '../../domain/datasets/plan-version.js';
import type { Logger } from '../../platform/logging.js';
import type { Edited } from '../../stores/datasets/dataset-edits.js';
import type { VersionPublisher } from '../../stores/datasets/publish-version.js';

export interface ChangePublisher {
  publisher: Pick<VersionPublisher, 'publish'>;
  logger: Logger;
}

/** Plans the version after a change. Throws `conflict` if no image would be left. */
export function planChange(dataset: string): (state: DatasetState) => VersionPlan {
  return (state) => {
    const plan = planVersion(state);
    if (plan.examples.length > 0) return plan;
    throw new PerennialError(
      'conflict',
      `No image would be left in dataset ${dataset}. Ingest other images first, or erase the dataset with POST /api/v1/erasures.`,
    );
  };
}

/** Publishes the version that a change made, and tells of it. Without the object store it is published later. */
export async function announceChange(
  { publisher, logger }: ChangePublisher,
  dataset: string,
  { version, digest, changed, isNewVersion, statistics }: Edited,
): Promise<z.input<typeof datasetChangeSchema>> {
  const published = await publisher.publish(dataset, version).then(
    () => true,
    (error: unknown) => {
      if (!isStoreFault(error)) throw error;
      logger.warn({ error, dataset, version }, 'a dataset version could not be published; it is tried again');
      return false;
    },
  );
  const { images, classes, conflicts } = statistics;
  return { dataset, version, digest, changed, is_new_version: isNewVersion, published, images, classes, conflicts };
}

function isStoreFault(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code === 'object_store_unavailable' || code === 'object_store_refused';
}
