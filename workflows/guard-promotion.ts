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

/** Guards a promoted version during its first minutes, and rolls it back when its live metrics are bad. */
export async function guardPromotion(input: GuardInput): Promise<GuardResult> {
  const progress = trackSteps(guardSteps);
  const result = await progress.step(
    'guard_promotion',
    () => guard(input),
    ({ detail }) => detail,
  );
  progress.end('completed');
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
    // Production changed meanwhile: another version was promoted, or this one was rolled back.
    if (code === 'conflict') return { outcome: 'superseded', detail: message };
    throw error;
  }
}
