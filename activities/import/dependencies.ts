import type { ImportJob } from '../../model/jobs.js';
import type { Logger } from '../../platform/logging.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';
import type { ServingDependencies } from '../validation/serve-test-images.js';

/** Dependencies of the check of an uploaded model, on either worker. */
export interface CheckDependencies {
  datasets: DatasetStore;
  objects: ObjectStore;
  /** Folder for temporary files of a job. */
  scratchFolder: string;
  logger: Logger;
  /** Limits on trying a model; there is a default. */
  importLimits?: ImportJob['limits'];
}

export interface ImportDependencies extends CheckDependencies, Omit<ServingDependencies, 'datasets' | 'bundleFolder'> {
  registry: Pick<RegistryStore, 'get' | 'ofRun' | 'register' | 'resolveAny'>;
  runs: Pick<RunStore, 'open' | 'get' | 'fail'>;
  uploads: Pick<UploadStore, 'markDiscarded'>;
  codeRevision: string;
}
