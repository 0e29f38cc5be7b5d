import type { TrainingInput, TrainingResult } from '../../contracts/training/training-pipeline.js';
import type { BundleAddress } from '../../stores/registry/bundles.js';
import type { RegistrationDependencies, TrainingDependencies } from './dependencies.js';
import { failTraining, type TrainingFailure } from './fail.js';
import { extractFeatures, type FeaturesInput, type FeaturesResult } from './features.js';
import { fitModel, type FitResult } from './fit.js';
import { packageModel } from './package.js';
import { registerModel } from './register.js';
import { createTrainerPool, type TrainerPool } from './trainer-pool.js';
import { onDataset } from './vanished-data.js';

export interface TrainingActivities {
  extractFeatures(input: FeaturesInput): Promise<FeaturesResult>;
  fitModel(input: TrainingInput): Promise<FitResult>;
  packageModel(input: TrainingInput): Promise<BundleAddress>;
}

export interface RegistrationActivities {
  registerModel(input: TrainingInput, bundle: BundleAddress): Promise<Pick<TrainingResult, 'version' | 'test'>>;
  failTraining(runId: string, failure: TrainingFailure): Promise<void>;
}

/** Activities of the training worker. Embedding, fitting and packaging share a child process, which runs TF.js. */
export function createTrainingActivities(
  deps: TrainingDependencies,
  trainers: TrainerPool = createTrainerPool(deps.logger),
): TrainingActivities {
  const fitting = { ...deps, trainers };
  return {
    extractFeatures: (input) => onDataset(deps.datasets, input, () => extractFeatures(fitting, input)),
    fitModel: (input) => onDataset(deps.datasets, input, () => fitModel(fitting, input)),
    packageModel: (input) => onDataset(deps.datasets, input, () => packageModel(fitting, input)),
  };
}

/** Records the end of a training; short activities of the pipeline worker. */
export function createRegistrationActivities(deps: RegistrationDependencies): RegistrationActivities {
  return {
    registerModel: (input, bundle) => registerModel(deps, input, bundle),
    failTraining: (runId, failure) => failTraining(deps, runId, failure),
  };
}
