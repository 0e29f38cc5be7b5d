import { CancellationScope, ParentClosePolicy, patched, proxyActivities, startChild } from '@temporalio/workflow';
import { guardWorkflowId, promotionSteps, type StepName } from '../contracts/names.js';
import type { PromotionInput, PromotionOutcome, PromotionResult } from '../contracts/promotion/promotion-pipeline.js';
import type { ProductionChange, PromotionActivities } from '../activities/promotion/activities.js';
import { recordOptions, storageOptions } from './activity-options.js';
import { createApproval, type Approval } from './approval.js';
import { failureOf } from './failure.js';
import { guardPromotion } from './guard-promotion.js';
import { callShort } from './local-first.js';
import { reportOnly } from './pipeline-record.js';
import { skipped, type StepOutcome } from './progress.js';

/**
 * Unless the promotion gate or a rejected approval prevents it: moves a version to Production in one transaction, waits
 * until every live replica serves it and answers with it, moves the previous version back if one does not, and starts a
 * guard.
 */
export async function promoteModel(input: PromotionInput): Promise<PromotionResult> {
  // Register the update handlers before the first await; otherwise an early approval would be rejected.
  const approval = createApproval(input);
  return reportOnly({ trigger: 'manual', modelName: input.modelName, steps: promotionSteps }, (progress) =>
    progress.step('deploy_new_model', () => promote(input, approval), describeDeployment),
  );
}

/** A version that stays where it is was not deployed; one that was moved back failed. */
export function describeDeployment({ outcome, detail }: PromotionResult): StepOutcome {
  if (outcome === 'promoted') return { status: 'completed', detail };
  return outcome === 'rolled_back' ? { status: 'failed', detail } : skipped(detail);
}

/** What `promoteModel` does; without `approval` for a decision that needs none. `summary` is the name of its activities. */
export async function promote(
  input: PromotionInput,
  approval: Approval | null,
  summary?: StepName,
): Promise<PromotionResult> {
  const { decision } = input;
  if (decision?.outcome === 'refuse') return notPromoted(input, 'refused', decision.summary);
  if (approval && decision?.outcome === 'needs_approval') {
    // Runs that started before approvals existed end here, as they did then.
    if (!patched('wait-for-approval')) return notPromoted(input, 'needs_approval', decision.summary);
    const answer = await approval.wait();
    if (!answer.isApproved) return notPromoted(input, answer.outcome, answer.detail);
  }
  // Not cancellable: the version is either in Production and checked, or not in Production.
  const approver = approval?.approver() ?? null;
  return CancellationScope.nonCancellable(() => changeAndCheck(input, approver, summary));
}

async function changeAndCheck(
  input: PromotionInput,
  approver: string | null,
  summary: StepName | undefined,
): Promise<PromotionResult> {
  const { modelName, version, idempotencyKey } = input;
  const change = await unlessStale(() =>
    callShort(summary, ({ moveProduction }) =>
      approver === null ? moveProduction(input) : moveProduction(input, approver),
    ),
  );
  if ('stale' in change) return notPromoted(input, 'stale', change.stale);
  const named = summary ? { summary } : {};
  const { moveProductionBack } = proxyActivities<PromotionActivities>({ ...recordOptions, ...named });
  const { checkReplicas } = proxyActivities<PromotionActivities>({ ...storageOptions, ...named });
  const { formerVersion, generation } = change;
  const revert = (reason: string): Promise<ProductionChange> =>
    moveProductionBack({ idempotencyKey, actor: 'smoke test', reason });
  try {
    const { passed, detail, replicas } = await checkReplicas({ modelName, version, generation });
    const result = { version, formerVersion, replicas, detail };
    if (!passed) {
      const reverted = await revert(detail);
      return { ...result, generation: reverted.generation, outcome: 'rolled_back' };
    }
    if ((change.guardMinutes ?? 0) > 0) await startGuard(input, generation);
    return { ...result, generation, outcome: 'promoted' };
  } catch (error) {
    await revert(`The check of the replicas failed: ${failureOf(error).message}`);
    throw error;
  }
}

async function unlessStale(move: () => Promise<ProductionChange>): Promise<ProductionChange | { stale: string }> {
  try {
    return await move();
  } catch (error) {
    const { code, message } = failureOf(error);
    if (code === 'stale_promotion') return { stale: message };
    throw error;
  }
}

/** The guard continues after the promotion and its retraining have ended. */
async function startGuard({ modelName, version, idempotencyKey }: PromotionInput, generation: number): Promise<void> {
  await startChild(guardPromotion, {
    workflowId: guardWorkflowId(modelName, generation),
    staticSummary: `guard of version ${version}`,
    parentClosePolicy: ParentClosePolicy.ABANDON,
    args: [{ modelName, version, generation, idempotencyKey }],
  });
}

/** Result of a promotion that did not happen: the version keeps its stage. */
function notPromoted({ version }: PromotionInput, outcome: PromotionOutcome, detail: string): PromotionResult {
  return { version, formerVersion: null, generation: null, replicas: [], outcome, detail };
}
