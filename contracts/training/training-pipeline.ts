import type { Hyperparameters, Evaluation } from './training.js';

export interface TrainingInput {
  modelName: string;
  dataset: string;
  datasetVersion: number;
  hyperparameters: Hyperparameters;
  /** Id of the run in the database; derived by the parent, so that a retry finds the same run. */
  runId: string;
}

export interface TrainingResult {
  runId: string;
  version: number;
  weightsSha256: string;
  bestEpoch: number;
  epochs: number;
  newFeatures: number;
  test: Evaluation;
}
