import { CancellationScope, ParentClosePolicy, patched, proxyActivities, startChild } from '@temporalio/workflow';
import { guardWorkflowId, promotionSteps } from '../contracts/names.js';
import type { PromotionInput, PromotionOutcome, PromotionResult } from '../contracts/promotion/promotion-pipeline.js';
import type { Move, PromotionActivities } from '../activities/promotion/activities.js';
import { recordOptions, storageOptions } from './activity-options.js';
import { createApproval, type Approval } from './approval.js';
import { failureOf } from './failure.js';
import { guardPromotion } from './guard-promotion.js';
import { reportOnly } from './pipeline-record.js';

const { moveProduction, moveProductionBack } = proxyActivities<PromotionActivities>(recordOptions);
const { checkReplicas } = proxyActivities<PromotionActivities>(storageOptions);

/**
 * Unless the gate or a person holds it back: makes a version Production in one transaction, waits until every live
 * replica serves it and answers with it, puts the former version back when one does not, and leaves a guard behind.
 */
export async function promoteModel(input: PromotionInput): Promise<PromotionResult> {
  // Its updates must be known before anything is waited for.
  const approval = createApproval(input);
  return reportOnly({ trigger: 'manual', modelName: input.modelName, steps: promotionSteps }, (story) =>
    story.step(
      'deploy_new_model',
      () => promote(input, approval),
      ({ detail }) => detail,
    ),
  );
}

async function promote(input: PromotionInput, approval: Approval): Promise<PromotionResult> {
  const { decision } = input;
  if (decision?.outcome === 'refuse') return heldBack(input, 'refused', decision.summary);
  if (decision?.outcome === 'needs_approval') {
    // Runs that began before promotions could wait end here, as they did then.
    if (!patched('wait-for-approval')) return heldBack(input, 'needs_approval', decision.summary);
    const answer = await approval.wait();
    if (!answer.isApproved) return heldBack(input, answer.outcome, answer.detail);
  }
  // From the move on there is no stopping half-way: a version is in Production and checked, or it is not.
  return CancellationScope.nonCancellable(() => moveAndCheck(input, approval.approver()));
}

async function moveAndCheck(input: PromotionInput, approver: string | null): Promise<PromotionResult> {
  const { modelName, version, idempotencyKey } = input;
  const move = await moveUnlessStale(input, approver);
  if ('stale' in move) return heldBack(input, 'stale', move.stale);
  const { formerVersion, generation } = move;
  const moveBack = (reason: string): Promise<Move> =>
    moveProductionBack({ idempotencyKey, actor: 'smoke test', reason });
  try {
    const { passed, detail, replicas } = await checkReplicas({ modelName, version, generation });
    const moved = { version, formerVersion, replicas, detail };
    if (!passed) {
      const back = await moveBack(detail);
      return { ...moved, generation: back.generation, outcome: 'rolled_back' };
    }
    if ((move.guardMinutes ?? 0) > 0) await leaveGuard(input, generation);
    return { ...moved, generation, outcome: 'promoted' };
  } catch (error) {
    await moveBack(`The check of the replicas failed: ${failureOf(error).message}`);
    throw error;
  }
}

async function moveUnlessStale(input: PromotionInput, approver: string | null): Promise<Move | { stale: string }> {
  try {
    return await (approver === null ? moveProduction(input) : moveProduction(input, approver));
  } catch (error) {
    const { code, message } = failureOf(error);
    if (code === 'stale_promotion') return { stale: message };
    throw error;
  }
}

/** The guard outlives the promotion and the retraining that it belongs to. */
async function leaveGuard({ modelName, version, idempotencyKey }: PromotionInput, generation: number): Promise<void> {
  await startChild(guardPromotion, {
    workflowId: guardWorkflowId(modelName, generation),
    staticSummary: `watch over version ${version}`,
    parentClosePolicy: ParentClosePolicy.ABANDON,
    args: [{ modelName, version, generation, idempotencyKey }],
  });
}

/** A version that is held back stays where it is. */
function heldBack({ version }: PromotionInput, outcome: PromotionOutcome, detail: string): PromotionResult {
  return { version, formerVersion: null, generation: null, replicas: [], outcome, detail };
}
