import type { Example } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, messageOf, type ErrorCode } from '../../contracts/errors.js';
import type { ValidationInput } from '../../contracts/promotion/promotion-pipeline.js';
import type { Comparison, Decision, ModelVersion } from '../../contracts/registry/registry.js';
import { gateRulesOf, type GateDefaults } from '../../domain/promotion/gate-measures.js';
import { decidePromotion, type GateInput } from '../../domain/promotion/promotion-gate.js';
import { askWhileRetired } from '../../domain/promotion/retired-model.js';
import { sameLabels } from '../../domain/registry/semantic-version.js';
import { compareOnSameImages } from '../../model/evaluation/compare.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import { withHeartbeat, type Report } from '../runtime/heartbeat.js';
import { crossValidationOf } from './cross-validation.js';
import { judgeParity, judgeSmokeTest } from './judge.js';
import { serveTestImages, type Served, type ServingDependencies } from './serve-test-images.js';

export interface ValidationDependencies extends ServingDependencies {
  registry: RegistryStore;
  datasets: DatasetStore;
  policies: PolicyStore;
  /** Rules of the promotion gate for what the policy of a model leaves open. */
  gate: GateDefaults;
}

export interface ValidationActivities {
  validateCandidate(input: ValidationInput): Promise<Decision>;
}

const bootstrapSeed = 1;

/** Decides whether a version may go to Production; runs on the pipeline worker, without TensorFlow. */
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
  // Read before the comparison: it is the fence of the promotion.
  const { generation, retirement } = await deps.registry.servingState(input.modelName);
  const production = await deps.registry.production(input.modelName);
  const { approval, promotion } = await deps.policies.get(input.modelName);
  const examples = await deps.datasets.examples(candidate.dataset, candidate.datasetVersion);
  // An imported model may have fewer classes than the dataset; it is judged on the classes it has.
  const testSet = examples.filter(({ side, label }) => side === 'test' && candidate.labels.includes(label));
  report({ evaluating: candidate.version, images: testSet.length });
  const incumbent = comparableProduction(candidate, production);
  const [served, servedIncumbent] = await serveBoth(deps, [candidate, incumbent], testSet, signal);
  const decided = decidePromotion({
    approval,
    candidate: candidate.evaluation,
    rules: gateRulesOf(promotion, deps.gate),
    crossValidation: await crossValidationOf(deps, candidate),
    answerTime: 'failure' in served ? null : served.answerTime,
    ...compareWith({ production, candidate, served, servedIncumbent, testSet }),
    sameDatasetVersion: production?.datasetDigest === candidate.datasetDigest,
    sameClasses:
      (production === null || sameLabels(candidate.labels, production.labels)) && knowsItsClasses(candidate, examples),
    ...judge(candidate, served, testSet),
  });
  const decision: Decision = { ...askWhileRetired(decided, retirement), generation, ...confidenceOf(served) };
  await deps.registry.recordDecision(candidate.modelName, candidate.version, decision);
  return decision;
}

/** The version in Production that a candidate can be compared with; null for other classes, and for the candidate itself. */
function comparableProduction(candidate: ModelVersion, production: ModelVersion | null): ModelVersion | null {
  if (production === null || production.version === candidate.version) return null;
  return sameLabels(candidate.labels, production.labels) ? production : null;
}

/** Errors that are caused by the model: a damaged or missing bundle, or an engine that fails on it. */
export const modelErrors: readonly ErrorCode[] = ['bundle_invalid', 'not_found', 'internal'];

/** Why the model cannot be served. Other errors are thrown and decide nothing. */
interface Unserved {
  failure: string;
}

async function tryServing(work: () => Promise<Served>, signal: AbortSignal): Promise<Served | Unserved> {
  try {
    return await work();
  } catch (error) {
    const code = errorCodeOf(error);
    if (signal.aborted || !modelErrors.includes(code)) throw error;
    return { failure: messageOf(error) };
  }
}

/** Serves the candidate and the incumbent at the same time, in two engines that share the threads. */
async function serveBoth(
  deps: ValidationDependencies,
  [candidate, incumbent]: [ModelVersion, ModelVersion | null],
  testSet: readonly Example[],
  signal: AbortSignal,
): Promise<[Served | Unserved, Served | Unserved | null]> {
  const threads = incumbent ? Math.max(1, Math.floor(deps.threads / 2)) : deps.threads;
  const serve = (version: ModelVersion): Promise<Served | Unserved> =>
    tryServing(() => serveTestImages({ ...deps, threads }, version, testSet), signal);
  // Wait for both, so that no engine is left running when the other fails.
  const [served, servedIncumbent] = await Promise.allSettled([serve(candidate), incumbent && serve(incumbent)]);
  if (served.status === 'rejected') throw served.reason;
  if (servedIncumbent.status === 'rejected') throw servedIncumbent.reason;
  return [served.value, servedIncumbent.value];
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

interface ComparisonInput {
  production: ModelVersion | null;
  candidate: ModelVersion;
  served: Served | Unserved;
  /** Production on the same images; null when there is no comparable version. */
  servedIncumbent: Served | Unserved | null;
  testSet: readonly Example[];
}

/** Compares on the same images, or says why not. A damaged Production must not block its successor. */
function compareWith({
  production,
  candidate,
  served,
  servedIncumbent,
  testSet,
}: ComparisonInput): Pick<GateInput, 'comparison' | 'notCompared'> {
  if (production === null) return { comparison: null, notCompared: 'there is no model in Production' };
  if (production.version === candidate.version)
    return { comparison: null, notCompared: 'it is the version in Production' };
  if (servedIncumbent === null) return { comparison: null, notCompared: 'Production has other classes' };
  if ('failure' in served) return { comparison: null, notCompared: 'the candidate cannot be served' };
  if ('failure' in servedIncumbent)
    return { comparison: null, notCompared: `Production cannot be served: ${servedIncumbent.failure}` };
  const comparison: Comparison = {
    productionVersion: production.version,
    ...compareOnSameImages({
      candidate: served.probabilities,
      production: servedIncumbent.probabilities,
      truths: truthsOf(testSet, candidate),
      seed: bootstrapSeed,
    }),
  };
  return { comparison, notCompared: null };
}

function truthsOf(testSet: readonly Example[], { labels }: ModelVersion): number[] {
  return testSet.map(({ label }) => labels.indexOf(label));
}

/** Whether a model has exactly the classes of its dataset, as every model trained here does. */
function knowsItsClasses({ labels }: ModelVersion, examples: readonly Example[]): boolean {
  const classes = new Set(examples.map(({ label }) => label));
  return classes.size === labels.length && labels.every((label) => classes.has(label));
}
