import type { DatasetStatistics, Example, ImageFacts } from '../../contracts/datasets/datasets.js';
import { describeVersion } from './describe-version.js';
import { dvcDirectory } from './dvc-directory.js';

/** What is published of a version, computed from the images that it still holds. */
export const publishRules = {
  listing: dvcDirectory,
  /** Statistics of the images that are left after an erasure. The counts of findings stay: they are of the ingestion. */
  statistics(images: readonly (ImageFacts & Example)[], recorded: DatasetStatistics): DatasetStatistics {
    if (images.length === recorded.images) return recorded;
    const { quarantined, duplicates, conflicts } = recorded;
    const left = describeVersion({ images, examples: images, members: images, conflicts, quarantined });
    return { ...recorded, ...left, duplicates };
  },
};
