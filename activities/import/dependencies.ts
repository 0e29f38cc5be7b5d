import type { ImportJob } from '../../model/jobs.js';
import type { Logger } from '../../platform/logging.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';
import type { ServingDependencies } from '../validation/serve-test-images.js';

/** What trying an uploaded model needs, on either worker. */
export interface CheckDependencies {
  datasets: DatasetStore;
  objects: ObjectStore;
  /** Folder for files of a job; whatever is in it may be lost. */
  scratchFolder: string;
  logger: Logger;
  /** What trying a model may take; there is a default. */
  importLimits?: ImportJob['limits'];
}

export interface ImportDependencies extends CheckDependencies, Omit<ServingDependencies, 'datasets' | 'bundleFolder'> {
  registry: Pick<RegistryStore, 'get' | 'ofRun' | 'register'>;
  runs: Pick<RunStore, 'open' | 'get' | 'fail'>;
  uploads: Pick<UploadStore, 'markDiscarded'>;
  codeRevision: string;
}
