import type { Verdict, PromotionInput } from '../../contracts/promotion/promotion-pipeline.js';
import type { ApprovalOutcome } from '../../contracts/registry/registry.js';
import type { ApprovalStore } from '../../stores/promotion/approvals.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore } from '../../stores/registry/registry.js';

export interface ApprovalDependencies {
  approvals: ApprovalStore;
  policies: PolicyStore;
  pipelines: Pick<PipelineStore, 'enterSteps'>;
  registry: Pick<RegistryStore, 'servingState'>;
}

export interface PendingApproval {
  onExpiry: 'reject' | 'promote';
  /** Time left until it expires. */
  waitMs: number;
}

export interface ApprovalActivities {
  /** Opens the approval. Repeated calls return the first one, whose clock keeps running. */
  openApproval(input: PromotionInput & { workflowId: string; pipelineRunId: string }): Promise<PendingApproval>;
  closeApproval(
    answer: Verdict & { idempotencyKey: string; outcome: Exclude<ApprovalOutcome, 'waiting'> },
  ): Promise<void>;
}

/** Writes approvals to the database. */
export function createApprovalActivities({
  approvals,
  policies,
  pipelines,
  registry,
}: ApprovalDependencies): ApprovalActivities {
  return {
    async openApproval(input) {
      const { approval } = await policies.get(input.modelName);
      // Only a person brings a retired model back: a pipeline and nobody's answer do not.
      const { retirement } = await registry.servingState(input.modelName);
      const { pipelineRunId, expiresAt, onExpiry } = await approvals.open({
        ...input,
        requestedBy: input.actor,
        summary: input.decision?.summary ?? input.reason,
        onExpiry: retirement && input.by === undefined ? 'reject' : approval.onExpiry,
        waitMs: Math.round(approval.expiresAfterHours * 3_600_000),
      });
      const detail = `waits for approval until ${expiresAt}: POST /api/v1/pipelines/${pipelineRunId}/approve or /reject`;
      await pipelines.enterSteps(pipelineRunId, [{ name: 'deploy_new_model', status: 'running', detail }]);
      return { onExpiry, waitMs: new Date(expiresAt).getTime() - Date.now() };
    },
    closeApproval: (answer) => approvals.close(answer),
  };
}
