import { hash } from 'node:crypto';
import { currentPreprocessing } from '../../contracts/registry/bundle.js';
import { featureRuntime, usesStoredFeatures } from '../architectures/backbone-digest.js';
import type { TrainJob } from '../jobs.js';

/** Digest of everything that determines the outcome of a training. */
export function fingerprintOf({
  hyperparameters,
  labels,
  examples,
}: Pick<TrainJob, 'hyperparameters' | 'labels' | 'examples'>): string {
  const members = examples.map(({ sha256, label, side }) => `${sha256} ${side} ${label}`).sort();
  const pixels = { preprocessing: currentPreprocessing };
  const inputs = usesStoredFeatures(hyperparameters) ? { ...pixels, runtime: featureRuntime } : pixels;
  return hash('sha256', JSON.stringify({ ...inputs, hyperparameters, labels, members }));
}
