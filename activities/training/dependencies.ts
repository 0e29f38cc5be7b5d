import type { Logger } from '../../platform/logging.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { FeatureStore } from '../../stores/features/features.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import type { TrainerPool } from './trainer-pool.js';

/** What the activities of the training worker need of the world. */
export interface TrainingDependencies {
  datasets: DatasetStore;
  features: FeatureStore;
  runs: RunStore;
  registry: RegistryStore;
  objects: ObjectStore;
  /** Folder for files of a job; whatever is in it may be lost. */
  scratchFolder: string;
  codeRevision: string;
  logger: Logger;
}

/** What fitting and packaging need besides, which share a trainer process. */
export interface FittingDependencies extends TrainingDependencies {
  trainers: TrainerPool;
}

/** What the end of a training needs: no scratch folder, no trainer. */
export type RegistrationDependencies = Pick<TrainingDependencies, 'runs' | 'registry' | 'objects' | 'logger'>;
