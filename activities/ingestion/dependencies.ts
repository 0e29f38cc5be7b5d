import type { Config } from '../../platform/config.js';
import type { Logger } from '../../platform/logging.js';
import type { DatasetCommits } from '../../stores/datasets/dataset-commits.js';
import type { IngestionStore } from '../../stores/datasets/ingestions.js';
import type { PixelIdentityStore } from '../../stores/datasets/pixel-identities.js';
import type { LabelStore } from '../../stores/predictions/labels.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { PublicationStore } from '../../stores/datasets/publications.js';
import type { SourceStore } from '../../stores/datasets/sources.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';
import type { ImageThreads } from './image-threads.js';

export interface IngestionDependencies {
  ingestions: IngestionStore;
  commits: DatasetCommits;
  publications: PublicationStore;
  sources: SourceStore;
  pixels: PixelIdentityStore;
  uploads: UploadStore;
  labels: Pick<LabelStore, 'accepted'>;
  objects: ObjectStore;
  threads: ImageThreads;
  /** The bucket of INGEST_S3_BUCKET, if it is not the own one. */
  sourceObjects?: Pick<ObjectStore, 'list' | 'open'> | undefined;
  config: Config;
  logger: Logger;
}
