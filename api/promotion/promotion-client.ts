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
import type { ApprovalStore } from '../../stores/promotion/approvals.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { PipelineStarter, StartedRun } from '../workflows/pipeline-starter.js';
import type { TemporalLink } from '../workflows/temporal-link.js';

export interface StartedPromotion {
  run: StartedRun;
  /** Null while it is running. */
  result: PromotionResult | null;
  /** Whether it waits for approval. */
  isWaiting: boolean;
}

/** Starts manual promotions and answers waiting ones. */
export interface PromotionClient {
  /** Starts a promotion, once per key, and returns its result if it ends soon. Throws its failure. */
  promote(input: PromotionInput): Promise<StartedPromotion>;
  /** Throws `conflict` if the promotion is not waiting. */
  answer(workflowId: string, isApproved: boolean, verdict: Verdict): Promise<void>;
}

export interface PromotionClientOptions {
  temporal: TemporalLink;
  starter: Pick<PipelineStarter, 'startPromotion'>;
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

/** Checks that the run of a key promotes this version. Throws `conflict` for another. */
function requireSameVersion({ version, modelName, idempotencyKey }: PromotionInput, used = version): void {
  if (used === version) return;
  throw new PerennialError(
    'conflict',
    `The key ${idempotencyKey} was used to promote version ${used} of ${modelName}. Use a new key.`,
  );
}

/** After a worker restart, Temporal delivers the first update only once the old sticky queue times out (ten seconds). */
const answerMs = 20_000;

async function answer(
  temporal: TemporalLink,
  workflowId: string,
  isApproved: boolean,
  verdict: Verdict,
): Promise<void> {
  const update = isApproved ? approveUpdate : rejectUpdate;
  // The update id depends on actor and answer, so that a repeated answer is idempotent.
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

/** The message of the workflow's validator, or that the workflow has ended. */
function refusalOf(error: unknown): PerennialError | null {
  if (error instanceof WorkflowNotFoundError) {
    return new PerennialError('conflict', 'This promotion has ended and takes no answer.');
  }
  if (!(error instanceof WorkflowUpdateFailedError) || !(error.cause instanceof ApplicationFailure)) return null;
  const { type, message } = error.cause;
  return new PerennialError(isErrorCode(type) ? type : 'conflict', message);
}
