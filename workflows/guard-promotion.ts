import { proxyActivities } from '@temporalio/workflow';
import type { GuardActivities } from '../activities/promotion/guard-activities.js';
import type { PromotionActivities } from '../activities/promotion/activities.js';
import { guardSteps } from '../contracts/names.js';
import type { GuardInput, GuardResult } from '../contracts/promotion/promotion-pipeline.js';
import { guardOptions, recordOptions } from './activity-options.js';
import { failureOf } from './failure.js';
import { trackSteps } from './progress.js';

const { watchPromotion } = proxyActivities<GuardActivities>(guardOptions);
const { moveProductionBack } = proxyActivities<PromotionActivities>(recordOptions);

/** Watches a promoted version during its first minutes, and puts the former one back when it does badly. */
export async function guardPromotion(input: GuardInput): Promise<GuardResult> {
  const story = trackSteps(guardSteps);
  const result = await story.step(
    'guard_promotion',
    () => guard(input),
    ({ detail }) => detail,
  );
  story.end('completed');
  return result;
}

async function guard(input: GuardInput): Promise<GuardResult> {
  const { outcome, detail } = await watchPromotion(input);
  if (outcome !== 'breach') return { outcome, detail };
  try {
    await moveProductionBack({ idempotencyKey: input.idempotencyKey, actor: 'guard', reason: detail });
    return { outcome: 'rolled_back', detail };
  } catch (error) {
    const { code, message } = failureOf(error);
    // Somebody was faster: another version was promoted, or this one rolled back.
    if (code === 'conflict') return { outcome: 'superseded', detail: message };
    throw error;
  }
}
