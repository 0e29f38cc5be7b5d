import { hash, randomUUID } from 'node:crypto';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { BatchInput } from '../../contracts/batch-predictions/batch-predictions.js';
import type { IngestionInput } from '../../contracts/datasets/ingestion.js';
import { PerennialError } from '../../contracts/errors.js';
import type { TuningInput } from '../../contracts/experiments/tuning.js';
import {
  batchSteps,
  batchWorkflowId,
  importSteps,
  importWorkflowId,
  ingestionStepsOf,
  ingestionWorkflowId,
  promotionSteps,
  promotionWorkflowId,
  retentionSteps,
  tuningSteps,
  tuningWorkflowId,
  validationSteps,
  validationWorkflowId,
  workflowTypes,
} from '../../contracts/names.js';
import type { PromotionInput, ValidationInput } from '../../contracts/promotion/promotion-pipeline.js';
import type { ImportInput } from '../../contracts/registry/import.js';
import type { RetentionInput } from '../../contracts/retraining/schedules.js';
import {
  createRunStarter,
  firstRunOf,
  type RunStarter,
  type StartedRun,
  type StarterOptions,
  type StartRequest,
} from '../../platform/temporal/run-starter.js';
import type { StorageGuard } from '../../platform/storage-guard.js';
import type { TemporalLink } from './temporal-link.js';

export type { StartedRun } from '../../platform/temporal/run-starter.js';

/** Starts and cancels workflows. */
export interface PipelineStarter extends RunStarter {
  startIngestion(input: IngestionInput): Promise<StartedRun>;
  startTuning(input: TuningInput): Promise<StartedRun>;
  /** Starts one promotion per idempotency key; a repetition returns the run that exists. */
  startPromotion(input: PromotionInput): Promise<StartedRun>;
  startValidation(input: ValidationInput): Promise<StartedRun>;
  startImport(input: ImportInput): Promise<StartedRun>;
  startRetention(input: RetentionInput): Promise<StartedRun>;
  /** Starts one batch prediction per id; a repetition returns the run that exists. */
  startBatch(input: BatchInput): Promise<StartedRun>;
  /** Throws `insufficient_storage` if the disk has no room for a run, `temporal_unavailable` if Temporal cannot be reached. */
  reach(): Promise<void>;
  /** Requests cancellation of a run. Throws `conflict` if it has ended. */
  cancel(run: { workflowId: string; runId: string }): Promise<void>;
}

export function createPipelineStarter(
  options: StarterOptions & { temporal: TemporalLink; storage: Pick<StorageGuard, 'require'> },
): PipelineStarter {
  const { start } = createRunStarter(options);
  /** Starts a run that writes large files. */
  const startLarge: RunStarter['start'] = async (request) => {
    await options.storage.require('run');
    return start(request);
  };
  return {
    start,
    startIngestion: (input) =>
      startLarge({
        ...input,
        workflow: workflowTypes.ingestDataset,
        workflowId: ingestionWorkflowId(input.dataset, ingestionWishes(input)),
        steps: ingestionStepsOf(input),
        input,
        modelName: null,
      }),
    startImport: (input) =>
      startLarge({
        ...input,
        workflow: workflowTypes.importModel,
        workflowId: importWorkflowId(input.modelName, input.contentId),
        steps: importSteps,
        input,
      }),
    startTuning: (input) =>
      startLarge({
        ...input,
        workflow: workflowTypes.tuneModel,
        workflowId: tuningWorkflowId(input.modelName),
        steps: tuningSteps,
        input,
        wishes: { dataset: input.dataset, space: input.space, budget: input.budget },
      }),
    ...startersByHand(start, startLarge),
    async reach() {
      await options.storage.require('run');
      await options.temporal.probe();
    },
    cancel: ({ workflowId, runId }) =>
      options.temporal.use(async (client) => {
        await requestCancel(client, workflowId, runId);
      }),
  };
}

/** What two requests must have in common for one ingestion. */
function ingestionWishes({ source, label, replaces, thenTrain }: IngestionInput): string {
  return hashOf({ source, label: label ?? null, replaces, ...(thenTrain && { thenTrain }) });
}

function startersByHand(
  start: RunStarter['start'],
  startLarge: RunStarter['start'],
): Pick<PipelineStarter, 'startPromotion' | 'startValidation' | 'startRetention' | 'startBatch'> {
  return {
    startPromotion: (input) =>
      start({
        ...byHand(input),
        workflow: workflowTypes.promoteModel,
        workflowId: promotionWorkflowId(input.modelName, hashOf({ key: input.idempotencyKey })),
        steps: promotionSteps,
        once: true,
      }),
    startBatch: (input) =>
      startLarge({
        ...byHand(input),
        dataset: input.dataset,
        workflow: workflowTypes.batchPredict,
        workflowId: batchWorkflowId(input.jobId),
        steps: batchSteps,
        once: true,
      }),
    startValidation: (input) =>
      start({
        ...byHand(input),
        workflow: workflowTypes.validateModel,
        workflowId: validationWorkflowId(input.modelName, input.version),
        steps: validationSteps,
      }),
    startRetention: (input) =>
      start({
        ...byHand({ modelName: null }),
        input,
        workflow: workflowTypes.applyRetention,
        // A request to remove must not join a run that only counts.
        workflowId: `${workflowTypes.applyRetention}${input.dryRun ? '-dry-run' : ''}`,
        steps: retentionSteps,
      }),
  };
}

/** Fields of a manual start without a dataset. */
function byHand(input: {
  modelName: string | null;
}): Pick<StartRequest, 'input' | 'modelName' | 'requestId' | 'trigger' | 'dataset'> {
  return { input, modelName: input.modelName, requestId: randomUUID(), trigger: 'manual', dataset: null };
}

function hashOf(value: object): string {
  return hash('sha256', JSON.stringify(value)).slice(0, 16);
}

async function requestCancel(client: Client, workflowId: string, runId: string): Promise<void> {
  const ended = new PerennialError('conflict', `The run ${runId} has ended, so it cannot be cancelled.`);
  const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: runId });
  try {
    const described = await handle.describe();
    if (described.status.name !== 'RUNNING' || firstRunOf(described) !== runId) throw ended;
    await handle.cancel();
  } catch (error) {
    // It ended between both calls, or Temporal no longer knows it.
    throw error instanceof WorkflowNotFoundError ? ended : error;
  }
}
