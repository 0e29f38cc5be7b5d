import { ApplicationFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  defineUpdate,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ApprovalActivities } from '../activities/promotion/approval-activities.js';
import { approveUpdate, rejectUpdate } from '../contracts/names.js';
import type { PromotionInput, Verdict } from '../contracts/promotion/promotion-pipeline.js';
import type { Actor } from '../contracts/audit/audit.js';
import { recordOptions } from './activity-options.js';

const { openApproval, closeApproval } = proxyActivities<ApprovalActivities>(recordOptions);

export const approve = defineUpdate<undefined, [Verdict]>(approveUpdate);
export const reject = defineUpdate<undefined, [Verdict]>(rejectUpdate);

export type Answer = { isApproved: true } | { isApproved: false; outcome: 'rejected' | 'expired'; detail: string };

/** The wait for an approval. It survives restarts of all processes. */
export interface Approval {
  /** Opens the approval, and waits until it is answered or expires. */
  wait(): Promise<Answer>;
  /** Who approved; null when no approval was needed, or when it expired. */
  approver(): string | null;
}

type State = 'not_asked' | 'waiting' | 'answered' | 'recorded';

/** Registers the handlers of both updates. They are rejected unless the approval waits for its first answer. */
export function createApproval(input: PromotionInput): Approval {
  let state: State = 'not_asked';
  let answered: { isApproved: boolean; verdict: Verdict } | null = null;

  const validator = ({ by }: Verdict): void => {
    if (by.name === '')
      throw ApplicationFailure.nonRetryable('An approval or rejection needs the name of its actor.', 'bad_request');
    if (state !== 'waiting') throw ApplicationFailure.nonRetryable(refusals[state], 'conflict');
  };
  const answer = async (isApproved: boolean, verdict: Verdict): Promise<undefined> => {
    answered = { isApproved, verdict };
    state = 'answered';
    // The update returns when the answer is in the database.
    await condition(() => state === 'recorded');
    return undefined;
  };
  setHandler(approve, (verdict) => answer(true, verdict), { validator });
  setHandler(reject, (verdict) => answer(false, verdict), { validator });

  return {
    approver: () => (answered?.isApproved === true ? answered.verdict.by.name : null),
    async wait() {
      // Accept answers before the activity returns: clients can see the approval as soon as its row is written.
      state = 'waiting';
      // Not cancellable, so that a written row is always closed: a cancellation takes effect in the wait below.
      const { onExpiry, waitMs } = await CancellationScope.nonCancellable(() =>
        openApproval({ ...input, ...waitingRun() }),
      );
      try {
        await condition(() => answered !== null, Math.max(1, waitMs));
      } catch (error) {
        if (isCancellation(error)) await record(input, 'cancelled', cancelledBy(), null);
        throw error;
      }
      const { result, ...entry } = answered === null ? expired(onExpiry) : answerEntry(answered);
      state = 'answered';
      await record(input, entry.outcome, entry.by, entry.comment);
      state = 'recorded';
      await condition(allHandlersFinished);
      return result;
    },
  };
}

const refusals: Record<Exclude<State, 'waiting'>, string> = {
  not_asked: 'This promotion is not waiting for approval, or not yet. There is nothing to answer.',
  answered: 'This approval was already answered or has expired. The first answer counts.',
  recorded: 'This approval was already answered or has expired. The first answer counts.',
};

interface Entry {
  outcome: 'approved' | 'rejected' | 'expired';
  by: Actor;
  comment: string | null;
  result: Answer;
}

function answerEntry({ isApproved, verdict: { by, comment } }: { isApproved: boolean; verdict: Verdict }): Entry {
  if (isApproved) return { outcome: 'approved', by, comment, result: { isApproved: true } };
  const detail = `Rejected by ${by.name}${comment === null ? '' : `: ${comment}`}.`;
  return { outcome: 'rejected', by, comment, result: { isApproved: false, outcome: 'rejected', detail } };
}

function expired(onExpiry: 'reject' | 'promote'): Entry {
  const by: Actor = { name: 'policy', via: 'workflow', from: workflowInfo().workflowId, requestId: null };
  if (onExpiry === 'promote') {
    return { outcome: 'expired', by, comment: 'promoted by the policy of the model', result: { isApproved: true } };
  }
  const detail = 'No answer arrived in time, and the policy of the model rejects expired approvals.';
  return { outcome: 'expired', by, comment: detail, result: { isApproved: false, outcome: 'expired', detail } };
}

function cancelledBy(): Actor {
  return { name: 'cancellation', via: 'workflow', from: workflowInfo().workflowId, requestId: null };
}

/** Writes the answer, also when the run is being cancelled. */
function record(
  { idempotencyKey }: PromotionInput,
  outcome: Entry['outcome'] | 'cancelled',
  by: Actor,
  comment: string | null,
): Promise<void> {
  return CancellationScope.nonCancellable(() => closeApproval({ idempotencyKey, outcome, by, comment }));
}

/** The pipeline run that waits: the retraining that this promotion belongs to, or the promotion itself. */
function waitingRun(): { workflowId: string; pipelineRunId: string } {
  const { workflowId, parent, firstExecutionRunId } = workflowInfo();
  return { workflowId, pipelineRunId: parent?.runId ?? firstExecutionRunId };
}
