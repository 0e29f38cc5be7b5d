import type { Verdict, PromotionInput } from '../../contracts/promotion/promotion-pipeline.js';
import type { ApprovalOutcome } from '../../contracts/registry/registry.js';
import type { ApprovalStore } from '../../stores/promotion/approvals.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';

export interface ApprovalDependencies {
  approvals: ApprovalStore;
  policies: PolicyStore;
  pipelines: Pick<PipelineStore, 'enterStep'>;
}

export interface Waiting {
  onExpiry: 'reject' | 'promote';
  /** How long there is left to wait. */
  waitMs: number;
}

export interface ApprovalActivities {
  /** Puts the question on record, once; the clock runs from the first time. */
  openApproval(input: PromotionInput & { workflowId: string; pipelineRunId: string }): Promise<Waiting>;
  closeApproval(
    answer: Verdict & { idempotencyKey: string; outcome: Exclude<ApprovalOutcome, 'waiting'> },
  ): Promise<void>;
}

/** How the wait for a person shows in our record. */
export function createApprovalActivities({ approvals, policies, pipelines }: ApprovalDependencies): ApprovalActivities {
  return {
    async openApproval(input) {
      const { approval } = await policies.get(input.modelName);
      const { pipelineRunId, expiresAt, onExpiry } = await approvals.open({
        ...input,
        requestedBy: input.actor,
        summary: input.decision?.summary ?? input.reason,
        onExpiry: approval.onExpiry,
        waitMs: Math.round(approval.expiresAfterHours * 3_600_000),
      });
      const detail = `waits for approval until ${expiresAt}: POST /api/v1/pipelines/${pipelineRunId}/approve or /reject`;
      await pipelines.enterStep(pipelineRunId, { name: 'deploy_new_model', status: 'running', detail });
      return { onExpiry, waitMs: new Date(expiresAt).getTime() - Date.now() };
    },
    closeApproval: (answer) => approvals.close(answer),
  };
}
