import type { z } from 'zod';
import type { DatasetStatistics } from '../../contracts/datasets/datasets.js';
import type {
  StatisticsView,
  datasetSummaryViewSchema,
  datasetVersionViewSchema,
  datasetViewSchema,
} from '../../contracts/datasets/http-datasets.js';
import type { DatasetDetail, DatasetSummary, DatasetVersionDetail } from '../../stores/datasets/datasets.js';

/** A dataset in a list, in the spelling of HTTP. */
export function datasetSummaryView(dataset: DatasetSummary): z.input<typeof datasetSummaryViewSchema> {
  return {
    name: dataset.name,
    current_version: dataset.currentVersion,
    versions: dataset.versions,
    images: dataset.images,
    classes: dataset.classes,
    created_at: dataset.createdAt,
  };
}

/** A dataset with its sources and versions. */
export function datasetView(dataset: DatasetDetail): z.input<typeof datasetViewSchema> {
  return {
    ...datasetSummaryView(dataset),
    sources: dataset.sources.map(({ kind, locator, scannedAt }) => ({ kind, locator, scanned_at: scannedAt })),
    history: dataset.history.map(({ version, digest, createdAt }) => ({ version, digest, created_at: createdAt })),
  };
}

/** A dataset version with everything that was found when it was made. */
export function datasetVersionView(version: DatasetVersionDetail): z.input<typeof datasetVersionViewSchema> {
  return {
    dataset: version.dataset,
    version: version.version,
    digest: version.digest,
    dvc_md5: version.dvcMd5,
    created_at: version.createdAt,
    statistics: statisticsView(version.statistics),
    sources: version.sources,
    quarantined: version.quarantined,
    conflicts: version.conflicts,
  };
}

/** Statistics in the spelling of HTTP; the keys of its inner records are labels and stay as they are. */
export function statisticsView({ imbalanceRatio, ...same }: DatasetStatistics): StatisticsView {
  return { ...same, imbalance_ratio: imbalanceRatio };
}
