import { Context } from '@temporalio/activity';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { PromotionInput } from '../../contracts/promotion/promotion-pipeline.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import { rawImageKey } from '../../stores/objects/object-keys.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import { checkReplicas, type ReplicaCheck, type ReplicaCheckInput } from './check-replicas.js';

export interface PromotionDependencies {
  registry: RegistryStore;
  policies: PolicyStore;
  datasets: Pick<DatasetStore, 'examples' | 'imageFacts'>;
  objects: Pick<ObjectStore, 'get'>;
}

export interface ProductionChange {
  formerVersion: number | null;
  generation: number;
  /** How long the guard runs, by the policy of the model. Missing in histories recorded before guards existed. */
  guardMinutes?: number;
}

export interface PromotionActivities {
  /** `approver` is who approved it. Throws `stale_promotion` when Production has changed since the decision. */
  moveProduction(input: PromotionInput, approver?: string): Promise<ProductionChange>;
  checkReplicas(input: ReplicaCheckInput): Promise<ReplicaCheck>;
  moveProductionBack(input: { idempotencyKey: string; actor: string; reason: string }): Promise<ProductionChange>;
}

/** Moves a version to Production and checks that every replica answers with it. */
export function createPromotionActivities(deps: PromotionDependencies): PromotionActivities {
  return {
    moveProduction: (input, approver) => moveProduction(deps, input, approver),
    checkReplicas: (input) =>
      withHeartbeat(async (report, signal) => {
        const image = await anyTestImage(deps, input);
        return checkReplicas({ registry: deps.registry, image }, input, report, signal);
      }),
    moveProductionBack: ({ idempotencyKey, actor, reason }) =>
      deps.registry.revertPromotion({ idempotencyKey, by: workflowActor(actor), reason }),
  };
}

async function moveProduction(
  { registry, policies }: PromotionDependencies,
  input: PromotionInput,
  approver?: string,
): Promise<ProductionChange> {
  const { modelName, version, reason, idempotencyKey, actor, decision } = input;
  const { guard } = await policies.get(modelName);
  const { formerVersion, generation } = await registry.promote({
    modelName,
    version,
    reason,
    idempotencyKey,
    by: input.by ?? workflowActor(actor),
    workflowId: workflowActor(actor).from,
    expectedGeneration: input.expectedGeneration ?? decision?.generation ?? null,
    approver: approver ?? null,
  });
  return { formerVersion, generation, guardMinutes: guard.minutes };
}

/** The calling workflow as actor. */
function workflowActor(name: string): Actor {
  return { name, via: 'workflow', from: Context.current().info.workflowExecution?.workflowId ?? '', requestId: null };
}

async function anyTestImage(
  deps: PromotionDependencies,
  { modelName, version }: ReplicaCheckInput,
): Promise<Uint8Array> {
  const { dataset, datasetVersion } = await deps.registry.get(modelName, version);
  const example = (await deps.datasets.examples(dataset, datasetVersion)).find(({ side }) => side === 'test');
  const [facts] = await deps.datasets.imageFacts(example ? [example.sha256] : []);
  if (!facts) {
    throw new PerennialError('smoke_test_failed', `Dataset version ${dataset}/${datasetVersion} has no test image.`);
  }
  return deps.objects.get(rawImageKey(facts.md5));
}
