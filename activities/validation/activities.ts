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
import { createKnownAnswers, type KnownAnswers } from './known-answers.js';
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
  const serving = { ...deps, answers: createKnownAnswers() };
  return {
    validateCandidate: (input) => withHeartbeat((report, signal) => validateCandidate(serving, input, report, signal)),
  };
}

/** Remembers what the versions answered. */
interface Validating extends ValidationDependencies {
  answers: KnownAnswers;
}

/**
 * Runs the candidate, and Production where there is one, through the serving engine over the same test images, and
 * records the decision of the promotion gate with its reasons.
 */
async function validateCandidate(
  deps: Validating,
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

/** What a version in Production is compared by. */
type Compared = Pick<Served, 'probabilities'>;

async function tryServing<T extends Compared>(work: () => Promise<T>, signal: AbortSignal): Promise<T | Unserved> {
  try {
    return await work();
  } catch (error) {
    const code = errorCodeOf(error);
    if (signal.aborted || !modelErrors.includes(code)) throw error;
    return { failure: messageOf(error) };
  }
}

/**
 * Serves the candidate, and at the same time the incumbent on the images that it has not answered before, in two engines
 * that share the threads.
 */
async function serveBoth(
  deps: Validating,
  [candidate, incumbent]: [ModelVersion, ModelVersion | null],
  testSet: readonly Example[],
  signal: AbortSignal,
): Promise<[Served | Unserved, Compared | Unserved | null]> {
  const known = incumbent && deps.answers.of(incumbent.bundleSha256);
  const unanswered = known ? testSet.filter(({ sha256 }) => !known.has(sha256)) : [];
  const threads = unanswered.length > 0 ? Math.max(1, Math.floor(deps.threads / 2)) : deps.threads;
  const serve = async (version: ModelVersion, images: readonly Example[]): Promise<Served> => {
    const served = await serveTestImages({ ...deps, threads }, version, images);
    const answers = images.map(({ sha256 }, place) => [sha256, served.probabilities[place] ?? []] as const);
    deps.answers.add(version.bundleSha256, answers);
    return served;
  };
  const compare = async (version: ModelVersion): Promise<Compared> => {
    if (unanswered.length > 0) await serve(version, unanswered);
    const answers = deps.answers.of(version.bundleSha256);
    return { probabilities: testSet.map(({ sha256 }) => answers.get(sha256) ?? []) };
  };
  // Wait for both, so that no engine is left running when the other fails.
  const [served, compared] = await Promise.allSettled([
    tryServing(() => serve(candidate, testSet), signal),
    incumbent && tryServing(() => compare(incumbent), signal),
  ]);
  if (served.status === 'rejected') throw served.reason;
  if (compared.status === 'rejected') throw compared.reason;
  return [served.value, compared.value];
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
    smokeTest: judgeSmokeTest(candidate, served, truthsOf(testSet, candidate)),
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
  servedIncumbent: Compared | Unserved | null;
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
