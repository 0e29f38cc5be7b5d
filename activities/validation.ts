import { Context } from '@temporalio/activity';
import type { Manifest } from '../contracts/bundle.js';
import type { Example } from '../contracts/datasets.js';
import { messageOf } from '../contracts/errors.js';
import type { ValidationInput } from '../contracts/pipelines.js';
import type { Comparison, Decision, ModelVersion } from '../contracts/registry.js';
import type { Evaluation } from '../contracts/training.js';
import { decide } from '../domain/promotion-gate.js';
import { compareOnSameImages } from '../model/evaluation/compare.js';
import { evaluate } from '../model/evaluation/evaluate.js';
import type { ImageLimits } from '../model/images/inspect.js';
import { createEngine } from '../model/serving/engine.js';
import { fetchBundle } from '../stores/bundles.js';
import type { DatasetStore } from '../stores/datasets.js';
import { rawImageKey } from '../stores/object-keys.js';
import type { ObjectStore } from '../stores/object-store.js';
import type { RegistryStore } from '../stores/registry.js';
import { concurrently } from './concurrently.js';
import { withHeartbeat } from './heartbeat.js';

export interface ValidationDependencies {
  registry: RegistryStore;
  datasets: DatasetStore;
  objects: ObjectStore;
  bundleFolder: string;
  minAccuracy: number;
  threads: number;
  imageLimits: ImageLimits;
}

export interface ValidationActivities {
  validateCandidate(input: ValidationInput): Promise<Decision>;
}

/** How far the served accuracy may lie from the one measured at training: one image in two hundred. */
const smokeTolerance = 0.005;
const parityTolerance = 1e-3;
const bootstrapSeed = 1;

/** What decides whether a version may go to Production; runs on the pipeline worker, without TensorFlow. */
export function createValidationActivities(deps: ValidationDependencies): ValidationActivities {
  return { validateCandidate: (input) => withHeartbeat((report) => validateCandidate(deps, input, report)) };
}

/**
 * Runs the candidate, and Production where there is one, through the serving engine over the same test images, and
 * records the decision of the promotion gate with its reasons.
 */
async function validateCandidate(
  deps: ValidationDependencies,
  input: ValidationInput,
  report: (progress: unknown) => void,
): Promise<Decision> {
  const candidate = await deps.registry.get(input.modelName, input.version);
  const production = await deps.registry.production(input.modelName);
  const testSet = (await deps.datasets.examples(candidate.dataset, candidate.datasetVersion)).filter(
    ({ side }) => side === 'test',
  );
  const truths = testSet.map(({ label }) => candidate.labels.indexOf(label));
  report({ evaluating: candidate.version, images: testSet.length });
  const served = await predictAll(deps, candidate, testSet).catch((error: unknown) => ({ failure: messageOf(error) }));
  const smokeTest =
    'failure' in served
      ? { passed: false, detail: served.failure }
      : judgeSmokeTest(candidate, served.probabilities, truths);
  const comparable = production !== null && sameLabels(candidate, production) && !('failure' in served);
  const decision = decide({
    candidate: candidate.evaluation,
    minAccuracy: deps.minAccuracy,
    comparison: comparable
      ? await compare(deps, { candidate: served.probabilities, production, testSet, truths })
      : null,
    sameDatasetVersion: production?.datasetDigest === candidate.datasetDigest,
    sameClasses: production === null || sameLabels(candidate, production),
    smokeTest,
    parity: 'failure' in served ? { passed: false, detail: served.failure } : judgeParity(served.manifest),
  });
  await deps.registry.recordDecision(candidate.modelName, candidate.version, decision);
  return decision;
}

async function compare(
  deps: ValidationDependencies,
  input: { candidate: number[][]; production: ModelVersion; testSet: readonly Example[]; truths: number[] },
): Promise<Comparison> {
  const { probabilities } = await predictAll(deps, input.production, input.testSet);
  return {
    productionVersion: input.production.version,
    ...compareOnSameImages({
      candidate: input.candidate,
      production: probabilities,
      truths: input.truths,
      seed: bootstrapSeed,
    }),
  };
}

async function predictAll(
  deps: ValidationDependencies,
  version: ModelVersion,
  images: readonly Example[],
): Promise<{ probabilities: number[][]; manifest: Manifest }> {
  const folder = await fetchBundle(deps.objects, version, deps.bundleFolder);
  const engine = await createEngine({
    bundleFolder: folder,
    threads: deps.threads,
    queueLimit: deps.threads * 4,
    limits: deps.imageLimits,
  });
  try {
    const facts = await deps.datasets.imageFacts(images.map(({ sha256 }) => sha256));
    const md5Of = new Map(facts.map(({ sha256, md5 }) => [sha256, md5]));
    const predictOne = async ({ sha256 }: Example): Promise<number[]> => {
      const bytes = await deps.objects.get(rawImageKey(md5Of.get(sha256) ?? ''));
      return (await engine.predictImage(bytes)).probabilities;
    };
    const signal = Context.current().cancellationSignal;
    const probabilities = await concurrently(images, deps.threads * 2, predictOne, signal);
    return { probabilities, manifest: engine.manifest };
  } finally {
    await engine.close();
  }
}

/** The engine must answer every test image with a distribution, and be as right as the training said. */
function judgeSmokeTest(
  candidate: ModelVersion,
  probabilities: number[][],
  truths: number[],
): { passed: boolean; detail: string } {
  const broken = probabilities.filter(
    (row) => Math.abs(row.reduce((sum, p) => sum + p, 0) - 1) > 1e-3 || row.some((p) => !(p >= 0)),
  );
  const served: Evaluation = evaluate({ probabilities, truths, labels: candidate.labels, seed: bootstrapSeed });
  const difference = Math.abs(served.accuracy - candidate.evaluation.accuracy);
  return {
    passed: broken.length === 0 && difference <= smokeTolerance,
    detail:
      `The serving engine answered ${probabilities.length} test images with an accuracy of ${percent(served.accuracy)} ` +
      `(training measured ${percent(candidate.evaluation.accuracy)}); ${broken.length} answers were no distribution.`,
  };
}

/** What packaging measured between TF.js and the exported graph, on real images. */
function judgeParity({ parityMaxAbsoluteError: error }: Manifest): { passed: boolean; detail: string } {
  return {
    passed: error <= parityTolerance,
    detail: `Probabilities of the exported graph differ by at most ${error.toExponential(1)} from TF.js; ${parityTolerance} is allowed.`,
  };
}

function sameLabels(a: ModelVersion, b: ModelVersion): boolean {
  return a.labels.length === b.labels.length && a.labels.every((label, index) => label === b.labels[index]);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
