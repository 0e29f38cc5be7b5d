import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { isErrorCode, PerennialError } from '../../contracts/errors.js';
import { approveUpdate, rejectUpdate } from '../../contracts/names.js';
import {
  promotionResultSchema,
  type PromotionInput,
  type PromotionResult,
  type Verdict,
} from '../../contracts/promotion/promotion-pipeline.js';
import type { RunStarter, StartedRun } from '../../platform/temporal/run-starter.js';
import type { ApprovalStore } from '../../stores/promotion/approvals.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { TemporalLink } from '../workflows/temporal-link.js';

export interface StartedPromotion {
  run: StartedRun;
  /** Null while it goes on. */
  result: PromotionResult | null;
  /** Whether it waits for a person. */
  isWaiting: boolean;
}

/** Promotions by hand, and the answers of people to those that wait. */
export interface PromotionClient {
  /** Starts a promotion, once for its key, and gives its result if there is one soon. Throws why it failed. */
  promote(input: PromotionInput): Promise<StartedPromotion>;
  /** Throws `conflict` when the promotion does not wait, or not any more. */
  answer(workflowId: string, isApproved: boolean, verdict: Verdict): Promise<void>;
}

export interface PromotionClientOptions {
  temporal: TemporalLink;
  starter: Pick<RunStarter, 'startPromotion'>;
  pipelines: Pick<PipelineStore, 'get'>;
  approvals: Pick<ApprovalStore, 'waitingIn'>;
}

/** How long a request waits for the end of the promotion that it started. */
const patience = { totalMs: 20_000, pollMs: 50 };

export function createPromotionClient({
  temporal,
  starter,
  pipelines,
  approvals,
}: PromotionClientOptions): PromotionClient {
  return {
    async promote(input) {
      const run = await starter.startPromotion(input);
      const deadline = Date.now() + patience.totalMs;
      for (;;) {
        const record = await pipelines.get(run.runId);
        if (record && record.status !== 'running') {
          const result = resultOf(record);
          requireSameVersion(input, result?.version);
          return { run, result, isWaiting: false };
        }
        const waiting = await approvals.waitingIn(run.runId);
        requireSameVersion(input, waiting?.version);
        if (waiting || Date.now() > deadline) return { run, result: null, isWaiting: waiting !== null };
        await sleep(patience.pollMs);
      }
    },
    answer: (workflowId, isApproved, verdict) => answer(temporal, workflowId, isApproved, verdict),
  };
}

/** The run of a key is about the version it was used for first. Throws `conflict` for another. */
function requireSameVersion({ version, modelName, idempotencyKey }: PromotionInput, used = version): void {
  if (used === version) return;
  throw new PerennialError(
    'conflict',
    `The key ${idempotencyKey} was used to promote version ${used} of ${modelName}. Use a new key.`,
  );
}

/** A worker that was just restarted takes the first update only when its former queue is given up, after ten seconds. */
const answerMs = 20_000;

async function answer(
  temporal: TemporalLink,
  workflowId: string,
  isApproved: boolean,
  verdict: Verdict,
): Promise<void> {
  const update = isApproved ? approveUpdate : rejectUpdate;
  // The same answer of the same person is the same update, so that it can be sent again.
  const updateId = `${update} by ${verdict.by.name}`;
  try {
    await temporal.use(
      (client) => client.workflow.getHandle(workflowId).executeUpdate(update, { updateId, args: [verdict] }),
      answerMs,
    );
  } catch (error) {
    throw refusalOf(error) ?? error;
  }
}

function resultOf({
  result,
  error,
}: NonNullable<Awaited<ReturnType<PipelineStore['get']>>>): StartedPromotion['result'] {
  if (error) throw new PerennialError(isErrorCode(error.code) ? error.code : 'internal', error.message);
  return promotionResultSchema.parse(result);
}

/** What the workflow's validator said, or that there is no such workflow any more. */
function refusalOf(error: unknown): PerennialError | null {
  if (error instanceof WorkflowNotFoundError) {
    return new PerennialError('conflict', 'This promotion has ended, so there is nothing to answer.');
  }
  if (!(error instanceof WorkflowUpdateFailedError) || !(error.cause instanceof ApplicationFailure)) return null;
  const { type, message } = error.cause;
  return new PerennialError(isErrorCode(type) ? type : 'conflict', message);
}
