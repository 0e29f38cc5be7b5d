import type { Logger } from '../../platform/logging.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { FeatureStore } from '../../stores/features/features.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import type { TrainerPool } from './trainer-pool.js';

/** Dependencies of the activities of the training worker. */
export interface TrainingDependencies {
  datasets: DatasetStore;
  features: FeatureStore;
  runs: RunStore;
  registry: RegistryStore;
  objects: ObjectStore;
  /** Folder for temporary files of a job. */
  scratchFolder: string;
  /** Folder of local copies of bundles. */
  bundleFolder: string;
  codeRevision: string;
  logger: Logger;
}

/** Dependencies of embedding, fitting and packaging, which share a trainer process. */
export interface FittingDependencies extends TrainingDependencies {
  trainers: TrainerPool;
}

/** Dependencies of the end of a training. */
export type RegistrationDependencies = Pick<TrainingDependencies, 'runs' | 'registry' | 'objects' | 'logger'>;
