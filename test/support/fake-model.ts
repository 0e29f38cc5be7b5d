import { servingPolicySchema } from '../../contracts/promotion/policy.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { ServedModel } from '../../api/model-host/served-model.js';
import type { Engine, Prediction } from '../../model/serving/engine.js';
import { chooseAbstention } from '../../domain/predictions/abstention.js';
import { evaluationOf } from './measurements.js';

/** A version in Production of which only number and digest matter. */
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
    lastValidation: null,
    lastValidatedAt: null,
    semanticVersion: `1.0.${number}`,
    description: '',
    tags: {},
    origin: 'trained',
    reportedMetrics: null,
    verifiedAt: new Date(0).toISOString(),
    revision: 1,
    createdAt: new Date(0).toISOString(),
  };
}

/** The outputs of an engine with the classes a and b. */
export function predictionOf(probabilities: number[], labels: readonly string[] = ['a', 'b']): Prediction {
  const confidence = Math.max(...probabilities);
  const label = labels[probabilities.indexOf(confidence)] ?? '';
  const phases = { queueMs: 0, decodeMs: 0, inferMs: 0 };
  return { label, confidence, probabilities, oodScore: null, phases };
}

/** A served model with only an engine and a number. */
export function servedOf(engine: Engine, number = 1): ServedModel {
  const abstention = chooseAbstention(null, 1);
  const serving = servingPolicySchema.parse({});
  return {
    engine,
    version: versionOf(number),
    generation: number,
    loadedAt: new Date(),
    abstainBelow: null,
    abstention,
    serving,
  };
}

export type FakeEngine = Engine & { closed: boolean };

/** An engine that runs the given function, and records whether it was closed. */
export function fakeEngine(
  given: Partial<Pick<Engine, 'admit' | 'predictImage' | 'predictPixels' | 'explainImage'>> = {},
): FakeEngine {
  const never = (): never => {
    throw new Error('this test did not expect a prediction');
  };
  return {
    closed: false,
    get manifest() {
      return never();
    },
    labels: ['a', 'b'],
    variant: 'fp32',
    calibration: null,
    waiting: 0,
    admit: () => undefined,
    predictImage: never,
    predictPixels: never,
    explainImage: never,
    ...given,
    close() {
      this.closed = true;
      return Promise.resolve();
    },
  };
}
