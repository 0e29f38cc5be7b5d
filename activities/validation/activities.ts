import type { Example } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, messageOf, type ErrorCode } from '../../contracts/errors.js';
import type { ValidationInput } from '../../contracts/promotion/promotion-pipeline.js';
import type { Comparison, Decision, ModelVersion } from '../../contracts/registry/registry.js';
import { decide, type GateInput } from '../../domain/promotion/promotion-gate.js';
import { sameLabels } from '../../domain/registry/semantic-version.js';
import { compareOnSameImages } from '../../model/evaluation/compare.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import { withHeartbeat, type Report } from '../runtime/heartbeat.js';
import { judgeParity, judgeSmokeTest } from './judge.js';
import { serveTestImages, type Served, type ServingDependencies } from './serve-test-images.js';

export interface ValidationDependencies extends ServingDependencies {
  registry: RegistryStore;
  datasets: DatasetStore;
  policies: PolicyStore;
  minAccuracy: number;
}

export interface ValidationActivities {
  validateCandidate(input: ValidationInput): Promise<Decision>;
}

const bootstrapSeed = 1;

/** What decides whether a version may go to Production; runs on the pipeline worker, without TensorFlow. */
export function createValidationActivities(deps: ValidationDependencies): ValidationActivities {
  return {
    validateCandidate: (input) => withHeartbeat((report, signal) => validateCandidate(deps, input, report, signal)),
  };
}

/**
 * Runs the candidate, and Production where there is one, through the serving engine over the same test images, and
 * records the decision of the promotion gate with its reasons.
 */
async function validateCandidate(
  deps: ValidationDependencies,
  input: ValidationInput,
  report: Report,
  signal: AbortSignal,
): Promise<Decision> {
  const candidate = await deps.registry.get(input.modelName, input.version);
  // Before the comparison: what it was made against is what the promotion is fenced with.
  const { generation } = await deps.registry.servingState(input.modelName);
  const production = await deps.registry.production(input.modelName);
  const { approval } = await deps.policies.get(input.modelName);
  const examples = await deps.datasets.examples(candidate.dataset, candidate.datasetVersion);
  // A model from elsewhere may know fewer classes than the dataset has; it is judged on those it knows.
  const testSet = examples.filter(({ side, label }) => side === 'test' && candidate.labels.includes(label));
  report({ evaluating: candidate.version, images: testSet.length });
  const rival = production && sameLabels(candidate.labels, production.labels) ? production : null;
  const [served, former] = await serveBoth(deps, [candidate, rival], testSet, signal);
  const decided = decide({
    approval,
    candidate: candidate.evaluation,
    minAccuracy: deps.minAccuracy,
    ...compareWith({ production, candidate, served, former, testSet }),
    sameDatasetVersion: production?.datasetDigest === candidate.datasetDigest,
    sameClasses:
      (production === null || sameLabels(candidate.labels, production.labels)) && knowsItsClasses(candidate, examples),
    ...judge(candidate, served, testSet),
  });
  const decision: Decision = { ...decided, generation, ...confidenceOf(served) };
  await deps.registry.recordDecision(candidate.modelName, candidate.version, decision);
  return decision;
}

/** A bundle that is damaged or gone, or an engine that fails on it: what speaks of the model and of nothing else. */
const faultsOfModels: readonly ErrorCode[] = ['bundle_invalid', 'not_found', 'internal'];

/** What the model could not do, in words; every other failure is thrown and decides nothing. */
interface Unserved {
  failure: string;
}

async function attempt(work: () => Promise<Served>, signal: AbortSignal): Promise<Served | Unserved> {
  try {
    return await work();
  } catch (error) {
    const code = errorCodeOf(error);
    if (signal.aborted || !faultsOfModels.includes(code)) throw error;
    return { failure: messageOf(error) };
  }
}

/** A candidate and whom it is compared with go through engines of their own at the same time and share the threads. */
async function serveBoth(
  deps: ValidationDependencies,
  [candidate, rival]: [ModelVersion, ModelVersion | null],
  testSet: readonly Example[],
  signal: AbortSignal,
): Promise<[Served | Unserved, Served | Unserved | null]> {
  const threads = rival ? Math.max(1, Math.floor(deps.threads / 2)) : deps.threads;
  const serve = (version: ModelVersion): Promise<Served | Unserved> =>
    attempt(() => serveTestImages({ ...deps, threads }, version, testSet), signal);
  // Neither engine is left behind when the other fails.
  const [served, former] = await Promise.allSettled([serve(candidate), rival && serve(rival)]);
  if (served.status === 'rejected') throw served.reason;
  if (former.status === 'rejected') throw former.reason;
  return [served.value, former.value];
}

function judge(
  candidate: ModelVersion,
  served: Served | Unserved,
  testSet: readonly Example[],
): Pick<GateInput, 'smokeTest' | 'parity'> {
  if ('failure' in served) {
    const failed = { passed: false, detail: served.failure };
    return { smokeTest: failed, parity: failed };
  }
  return {
    smokeTest: judgeSmokeTest(candidate, served.probabilities, truthsOf(testSet, candidate)),
    parity: judgeParity(served.manifest),
  };
}

function confidenceOf(served: Served | Unserved): Pick<Decision, 'meanConfidence'> {
  if ('failure' in served || served.probabilities.length === 0) return {};
  const total = served.probabilities.reduce((sum, row) => sum + Math.max(...row), 0);
  return { meanConfidence: total / served.probabilities.length };
}

interface Contest {
  production: ModelVersion | null;
  candidate: ModelVersion;
  served: Served | Unserved;
  /** Of Production; null when there is nobody to compare with. */
  former: Served | Unserved | null;
  testSet: readonly Example[];
}

/** Compares on the same images, or says why that cannot be done; a damaged Production must not block its successor. */
function compareWith({
  production,
  candidate,
  served,
  former,
  testSet,
}: Contest): Pick<GateInput, 'comparison' | 'notCompared'> {
  if (production === null) return { comparison: null, notCompared: 'there is no model in Production' };
  if (former === null) return { comparison: null, notCompared: 'Production knows other classes' };
  if ('failure' in served) return { comparison: null, notCompared: 'the candidate cannot be served' };
  if ('failure' in former) return { comparison: null, notCompared: `Production cannot be served: ${former.failure}` };
  const comparison: Comparison = {
    productionVersion: production.version,
    ...compareOnSameImages({
      candidate: served.probabilities,
      production: former.probabilities,
      truths: truthsOf(testSet, candidate),
      seed: bootstrapSeed,
    }),
  };
  return { comparison, notCompared: null };
}

function truthsOf(testSet: readonly Example[], { labels }: ModelVersion): number[] {
  return testSet.map(({ label }) => labels.indexOf(label));
}

/** Whether a model tells apart exactly the classes of its dataset, as every model does that was trained here. */
function knowsItsClasses({ labels }: ModelVersion, examples: readonly Example[]): boolean {
  const classes = new Set(examples.map(({ label }) => label));
  return classes.size === labels.length && labels.every((label) => classes.has(label));
}
