import { Context } from '@temporalio/activity';
import { PerennialError } from '../contracts/errors.js';
import type { PromotionInput } from '../contracts/pipelines.js';
import type { DatasetStore } from '../stores/datasets.js';
import { rawImageKey } from '../stores/object-keys.js';
import type { ObjectStore } from '../stores/object-store.js';
import type { RegistryStore } from '../stores/registry.js';
import { withHeartbeat } from './heartbeat.js';
import { checkReplicas, type ReplicaCheck, type ReplicaQuestion } from './promotion/check-replicas.js';

export interface PromotionDependencies {
  registry: RegistryStore;
  datasets: DatasetStore;
  objects: ObjectStore;
}

export interface Move {
  formerVersion: number | null;
  generation: number;
}

export interface PromotionActivities {
  moveProduction(input: PromotionInput): Promise<Move>;
  checkReplicas(input: ReplicaQuestion): Promise<ReplicaCheck>;
  moveProductionBack(input: { idempotencyKey: string; actor: string; reason: string }): Promise<Move>;
}

/** What moves a version to Production and makes sure that every replica answers with it. */
export function createPromotionActivities(deps: PromotionDependencies): PromotionActivities {
  return {
    moveProduction: (input) =>
      deps.registry.promote({ ...input, workflowId: Context.current().info.workflowExecution?.workflowId ?? '' }),
    checkReplicas: (input) =>
      withHeartbeat(async (report, signal) => {
        const image = await anyTestImage(deps, input);
        return checkReplicas({ registry: deps.registry, image }, input, report, signal);
      }),
    moveProductionBack: (input) => deps.registry.revertPromotion(input),
  };
}

async function anyTestImage(deps: PromotionDependencies, { modelName, version }: ReplicaQuestion): Promise<Uint8Array> {
  const { dataset, datasetVersion } = await deps.registry.get(modelName, version);
  const example = (await deps.datasets.examples(dataset, datasetVersion)).find(({ side }) => side === 'test');
  const [facts] = await deps.datasets.imageFacts(example ? [example.sha256] : []);
  if (!facts) {
    throw new PerennialError('smoke_test_failed', `Dataset version ${dataset}/${datasetVersion} has no test image.`);
  }
  return deps.objects.get(rawImageKey(facts.md5));
}
