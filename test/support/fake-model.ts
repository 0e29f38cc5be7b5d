import type { ModelVersion } from '../../contracts/registry.js';
import type { Engine } from '../../model/serving/engine.js';
import { evaluationOf } from './figures.js';

/** A version in Production of which nothing but its number and digest matters. */
export function versionOf(number: number, bundleSha256 = String(number).repeat(64)): ModelVersion {
  return {
    modelName: 'a_model',
    version: number,
    stage: 'Production',
    runId: `run-${number}`,
    architecture: 'cnn',
    labels: ['a', 'b'],
    dataset: 'a_dataset',
    datasetVersion: 1,
    datasetDigest: '',
    bundleKey: `models/a_model/${number}`,
    bundleSha256,
    sizeBytes: 1,
    evaluation: evaluationOf(0.9),
    decision: null,
    semanticVersion: `1.0.${number}`,
    description: '',
    tags: {},
    origin: 'trained',
    verifiedAt: new Date(0).toISOString(),
    revision: 1,
    createdAt: new Date(0).toISOString(),
  };
}

export type FakeEngine = Engine & { closed: boolean };

/** An engine that only remembers whether it was closed, and does what it is given. */
export function fakeEngine(given: Partial<Pick<Engine, 'predictImage' | 'predictPixels'>> = {}): FakeEngine {
  const never = (): never => {
    throw new Error('this test did not expect a prediction');
  };
  return {
    closed: false,
    get manifest() {
      return never();
    },
    labels: ['a', 'b'],
    waiting: 0,
    predictImage: never,
    predictPixels: never,
    ...given,
    close() {
      this.closed = true;
      return Promise.resolve();
    },
  };
}
