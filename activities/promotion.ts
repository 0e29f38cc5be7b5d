import { Context } from '@temporalio/activity';
import { z } from 'zod';
import { messageOf, PerennialError } from '../contracts/errors.js';
import type { PromotionInput } from '../contracts/pipelines.js';
import type { DatasetStore } from '../stores/datasets.js';
import { rawImageKey } from '../stores/object-keys.js';
import type { ObjectStore } from '../stores/object-store.js';
import type { RegistryStore } from '../stores/registry.js';
import { withHeartbeat } from './heartbeat.js';

export interface PromotionDependencies {
  registry: RegistryStore;
  datasets: DatasetStore;
  objects: ObjectStore;
}

export interface Move {
  formerVersion: number | null;
  generation: number;
}

export interface ReplicaCheck {
  passed: boolean;
  replicas: string[];
  detail: string;
}

export interface PromotionActivities {
  moveProduction(input: PromotionInput): Promise<Move>;
  checkReplicas(input: { modelName: string; version: number; generation: number }): Promise<ReplicaCheck>;
  moveProductionBack(input: { idempotencyKey: string; actor: string; reason: string }): Promise<Move>;
}

/** A replica that has not reported for this long is taken for gone: it loads the new version when it comes back. */
const replicaLivesMs = 5_000;
const replicaDeadlineMs = 60_000;
const pollMs = 200;
const smokeTimeoutMs = 10_000;

const answerSchema = z.object({ model_version: z.string(), confidence: z.number().min(0).max(1) });

/** What moves a version to Production and makes sure that every replica answers with it. */
export function createPromotionActivities(deps: PromotionDependencies): PromotionActivities {
  return {
    moveProduction: (input) =>
      deps.registry.promote({ ...input, workflowId: Context.current().info.workflowExecution?.workflowId ?? '' }),
    checkReplicas: (input) => withHeartbeat((report, signal) => checkReplicas(deps, input, report, signal)),
    moveProductionBack: (input) => deps.registry.revertPromotion(input),
  };
}

/** Waits until every live replica serves `generation`, then asks each for one prediction. */
async function checkReplicas(
  deps: PromotionDependencies,
  input: { modelName: string; version: number; generation: number },
  report: (progress: unknown) => void,
  signal: AbortSignal,
): Promise<ReplicaCheck> {
  const deadline = Date.now() + replicaDeadlineMs;
  for (;;) {
    signal.throwIfAborted();
    const live = await deps.registry.liveReplicas(input.modelName, replicaLivesMs);
    const replicas = live.map(({ url }) => url);
    const behind = live.filter(({ generation, error }) => generation < input.generation || error !== null);
    report({ replicas: live.length, behind: behind.length });
    const refused = behind.find(({ generation, error }) => generation >= input.generation && error !== null);
    if (refused)
      return { passed: false, replicas, detail: `${refused.url} could not load the version: ${refused.error ?? ''}` };
    if (behind.length === 0) return smokeTest(deps, input, replicas);
    if (Date.now() > deadline)
      return {
        passed: false,
        replicas,
        detail: `${behind.map(({ url }) => url).join(', ')} did not load the version in time.`,
      };
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function smokeTest(
  deps: PromotionDependencies,
  { modelName, version }: { modelName: string; version: number },
  replicas: string[],
): Promise<ReplicaCheck> {
  if (replicas.length === 0)
    return { passed: true, replicas, detail: 'No replica is live; each loads the version when it starts.' };
  const image = await anyTestImage(deps, modelName, version);
  for (const url of replicas) {
    try {
      await predictOnce(url, image, version);
    } catch (error) {
      return { passed: false, replicas, detail: `${url} failed the smoke test: ${messageOf(error)}` };
    }
  }
  return { passed: true, replicas, detail: `${replicas.length} replica(s) answer with version ${version}.` };
}

async function predictOnce(url: string, image: Uint8Array, version: number): Promise<void> {
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(image)]), 'smoke-test');
  const response = await fetch(new URL('/predict', url), {
    method: 'POST',
    body: form,
    signal: AbortSignal.timeout(smokeTimeoutMs),
  });
  const body: unknown = await response.json();
  if (!response.ok)
    throw new PerennialError('smoke_test_failed', `it answered ${response.status}: ${JSON.stringify(body)}`);
  const answer = answerSchema.parse(body);
  if (answer.model_version !== String(version)) {
    throw new PerennialError(
      'smoke_test_failed',
      `it answered with version ${answer.model_version} in place of ${version}`,
    );
  }
}

async function anyTestImage(deps: PromotionDependencies, modelName: string, version: number): Promise<Uint8Array> {
  const { dataset, datasetVersion } = await deps.registry.get(modelName, version);
  const example = (await deps.datasets.examples(dataset, datasetVersion)).find(({ side }) => side === 'test');
  const [facts] = await deps.datasets.imageFacts(example ? [example.sha256] : []);
  if (!facts)
    throw new PerennialError('smoke_test_failed', `Dataset version ${dataset}/${datasetVersion} has no test image.`);
  return deps.objects.get(rawImageKey(facts.md5));
}
