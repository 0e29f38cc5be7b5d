import type { Config } from '../../platform/config.js';
import type { Logger } from '../../platform/logging.js';
import type { DatasetCommits } from '../../stores/dataset-commits.js';
import type { IngestionStore } from '../../stores/ingestions.js';
import type { LabelStore } from '../../stores/labels.js';
import type { ObjectStore } from '../../stores/object-store.js';
import type { UploadStore } from '../../stores/uploads.js';

export interface IngestionDependencies {
  ingestions: IngestionStore;
  commits: DatasetCommits;
  uploads: UploadStore;
  labels: Pick<LabelStore, 'accepted'>;
  objects: ObjectStore;
  config: Config;
  logger: Logger;
}

/** Tells the heartbeat how far an activity is. */
export type Report = (progress: unknown) => void;
