import { hash } from 'node:crypto';
import { currentPreprocessing } from '../../contracts/registry/bundle.js';
import type { TrainJob } from '../jobs.js';

/** Digest of everything that determines the outcome of a training. */
export function fingerprintOf({
  hyperparameters,
  labels,
  examples,
}: Pick<TrainJob, 'hyperparameters' | 'labels' | 'examples'>): string {
  const members = examples.map(({ sha256, label, side }) => `${sha256} ${side} ${label}`).sort();
  return hash('sha256', JSON.stringify({ preprocessing: currentPreprocessing, hyperparameters, labels, members }));
}
