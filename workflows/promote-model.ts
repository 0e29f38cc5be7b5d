import { CancellationScope, proxyActivities } from '@temporalio/workflow';
import type { PromotionInput, PromotionResult } from '../contracts/pipelines.js';
import type { Move, PromotionActivities } from '../activities/promotion.js';
import { recordOptions, storageOptions } from './activity-options.js';
import { failureOf } from './failure.js';
import { tellStory } from './story.js';

const { moveProduction, moveProductionBack } = proxyActivities<PromotionActivities>(recordOptions);
const { checkReplicas } = proxyActivities<PromotionActivities>(storageOptions);

/**
 * Unless the gate holds it back: makes a version Production in one transaction, waits until every live replica serves it
 * and answers with it, and puts the former version back when one does not.
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

function promote(input: PromotionInput): Promise<PromotionResult> {
  const stop = heldBack(input);
  if (stop) return Promise.resolve(stop);
  // From the move on there is no stopping half-way: a version is in Production and checked, or it is not.
  return CancellationScope.nonCancellable(() => moveAndCheck(input));
}

async function moveAndCheck(input: PromotionInput): Promise<PromotionResult> {
  const { modelName, version, actor, idempotencyKey } = input;
  const { formerVersion, generation } = await moveProduction(input);
  const moveBack = (reason: string): Promise<Move> => moveProductionBack({ idempotencyKey, actor, reason });
  try {
    const { passed, detail, replicas } = await checkReplicas({ modelName, version, generation });
    if (passed) return { version, formerVersion, generation, replicas, outcome: 'promoted', detail };
    const back = await moveBack(detail);
    return { version, formerVersion, generation: back.generation, replicas, outcome: 'rolled_back', detail };
  } catch (error) {
    await moveBack(`The check of the replicas failed: ${failureOf(error).message}`);
    throw error;
  }
}

/** A version that the gate did not let through stays in Staging. */
function heldBack({ version, decision }: PromotionInput): PromotionResult | null {
  if (decision === null || decision.outcome === 'promote') return null;
  const outcome = decision.outcome === 'refuse' ? 'refused' : decision.outcome;
  return { version, formerVersion: null, generation: null, replicas: [], outcome, detail: decision.summary };
}
