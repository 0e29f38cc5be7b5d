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

/** A wait for a person that survives restarts of everything. */
export interface Approval {
  /** Asks, and waits until someone answers or the time is over. */
  wait(): Promise<Answer>;
  /** Who approved; null where nobody was asked, or the time decided. */
  approver(): string | null;
}

type State = 'not_asked' | 'waiting' | 'answered' | 'recorded';

/** Sets the handlers of both updates. They are refused unless the promotion waits and nobody has answered yet. */
export function createApproval(input: PromotionInput): Approval {
  let state: State = 'not_asked';
  let answered: { isApproved: boolean; verdict: Verdict } | null = null;

  const validator = ({ by }: Verdict): void => {
    if (by.name === '')
      throw ApplicationFailure.nonRetryable('An answer needs the name of who gives it.', 'bad_request');
    if (state !== 'waiting') throw ApplicationFailure.nonRetryable(refusals[state], 'conflict');
  };
  const answer = async (isApproved: boolean, verdict: Verdict): Promise<undefined> => {
    answered = { isApproved, verdict };
    state = 'answered';
    // Whoever answered hears of it when it is on record.
    await condition(() => state === 'recorded');
    return undefined;
  };
  setHandler(approve, (verdict) => answer(true, verdict), { validator });
  setHandler(reject, (verdict) => answer(false, verdict), { validator });

  return {
    approver: () => (answered?.isApproved === true ? answered.verdict.by.name : null),
    async wait() {
      // People see the question as soon as it is on record, which may be long before this worker hears of it.
      state = 'waiting';
      // A question that was put on record is taken back there: a cancellation counts from then on.
      const { onExpiry, waitMs } = await CancellationScope.nonCancellable(() => openApproval({ ...input, ...place() }));
      try {
        await condition(() => answered !== null, Math.max(1, waitMs));
      } catch (error) {
        if (isCancellation(error)) await record(input, 'cancelled', cancelledBy(), null);
        throw error;
      }
      const { result, ...entry } = answered === null ? expired(onExpiry) : told(answered);
      state = 'answered';
      await record(input, entry.outcome, entry.by, entry.comment);
      state = 'recorded';
      await condition(allHandlersFinished);
      return result;
    },
  };
}

const refusals: Record<Exclude<State, 'waiting'>, string> = {
  not_asked: 'This promotion does not wait for an approval (yet), so there is nothing to answer.',
  answered: 'Somebody has answered already, or the time was over; the first answer counts.',
  recorded: 'Somebody has answered already, or the time was over; the first answer counts.',
};

interface Entry {
  outcome: 'approved' | 'rejected' | 'expired';
  by: Actor;
  comment: string | null;
  result: Answer;
}

function told({ isApproved, verdict: { by, comment } }: { isApproved: boolean; verdict: Verdict }): Entry {
  if (isApproved) return { outcome: 'approved', by, comment, result: { isApproved: true } };
  const detail = `Rejected by ${by.name}${comment === null ? '' : `: ${comment}`}.`;
  return { outcome: 'rejected', by, comment, result: { isApproved: false, outcome: 'rejected', detail } };
}

function expired(onExpiry: 'reject' | 'promote'): Entry {
  const by: Actor = { name: 'policy', via: 'workflow', from: workflowInfo().workflowId, requestId: null };
  if (onExpiry === 'promote') {
    return { outcome: 'expired', by, comment: 'promoted, as the policy says', result: { isApproved: true } };
  }
  const detail = 'Nobody answered in time, and the policy of the model rejects what nobody approves.';
  return { outcome: 'expired', by, comment: detail, result: { isApproved: false, outcome: 'expired', detail } };
}

function cancelledBy(): Actor {
  return { name: 'cancellation', via: 'workflow', from: workflowInfo().workflowId, requestId: null };
}

/** The answer is written whatever happens to the run. */
function record(
  { idempotencyKey }: PromotionInput,
  outcome: Entry['outcome'] | 'cancelled',
  by: Actor,
  comment: string | null,
): Promise<void> {
  return CancellationScope.nonCancellable(() => closeApproval({ idempotencyKey, outcome, by, comment }));
}

/** The run of our record that waits: the retraining this promotion belongs to, or the promotion itself. */
function place(): { workflowId: string; pipelineRunId: string } {
  const { workflowId, parent, firstExecutionRunId } = workflowInfo();
  return { workflowId, pipelineRunId: parent?.runId ?? firstExecutionRunId };
}
