import { proxyActivities } from '@temporalio/workflow';
import type { PromotionInput, PromotionResult } from '../contracts/pipelines.js';
import type { PromotionActivities } from '../activities/promotion.js';
import { recordOptions, storageOptions } from './activity-options.js';
import { tellStory } from './story.js';

const { moveProduction, moveProductionBack } = proxyActivities<PromotionActivities>(recordOptions);
const { checkReplicas } = proxyActivities<PromotionActivities>(storageOptions);

/**
 * Unless the gate holds it back: makes a version Production in one transaction, waits until every live replica serves it and answers with it, and
 * puts the former version back when one does not.
 */
export async function promoteModel(input: PromotionInput): Promise<PromotionResult> {
  const story = tellStory(['deploy_new_model']);
  const result = await story.step(
    'deploy_new_model',
    () => promote(input),
    ({ detail }) => detail,
  );
  story.end('completed');
  return result;
}

async function promote(input: PromotionInput): Promise<PromotionResult> {
  const stop = heldBack(input);
  if (stop) return stop;
  const { modelName, version, actor, idempotencyKey } = input;
  const { formerVersion, generation } = await moveProduction(input);
  const check = await checkReplicas({ modelName, version, generation });
  const { detail, replicas } = check;
  if (check.passed) return { version, formerVersion, generation, replicas, outcome: 'promoted', detail };
  const back = await moveProductionBack({ idempotencyKey, actor, reason: detail });
  return { version, formerVersion, generation: back.generation, replicas, outcome: 'rolled_back', detail };
}

/** A version that the gate did not let through stays in Staging. */
function heldBack({ version, decision }: PromotionInput): PromotionResult | null {
  if (decision === null || decision.outcome === 'promote') return null;
  const outcome = decision.outcome === 'refuse' ? 'refused' : decision.outcome;
  return { version, formerVersion: null, generation: null, replicas: [], outcome, detail: decision.summary };
}
