import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  type Client,
  type WorkflowExecutionDescription,
} from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';
import { z } from 'zod';
import { PerennialError } from '../contracts/errors.js';
import {
  ingestionSteps,
  ingestionWorkflowId,
  retrainingSteps,
  retrainingWorkflowId,
  taskQueues,
  workflowTypes,
  type StepName,
} from '../contracts/names.js';
import {
  triggerSchema,
  type IngestionInput,
  type PipelineOpening,
  type RetrainingInput,
  type RunStatus,
} from '../contracts/pipelines.js';
import type { Logger } from './logging.js';

export interface StartedRun {
  workflowId: string;
  runId: string;
  /** Whether a run of this id was under way already, so that this request joined it. */
  joined: boolean;
}

/**
 * Starts workflows. A request for what is under way joins it. A start that throws `temporal_unavailable` may have
 * happened all the same; any other error means that it has not.
 */
export interface RunStarter {
  startIngestion(input: IngestionInput): Promise<StartedRun>;
  startRetraining(input: RetrainingInput): Promise<StartedRun>;
}

/** Where runs are recorded. */
export interface RunRecords {
  open(run: PipelineOpening): Promise<void>;
  get(runId: string): Promise<{ status: RunStatus } | null>;
}

export interface StarterOptions {
  /** Runs `work` with a deadline. Throws `temporal_unavailable` when Temporal does not answer in time. */
  temporal: { use<T>(work: (client: Client) => Promise<T>): Promise<T> };
  pipelines: RunRecords;
  logger: Logger;
}

/** How long a run is waited for that is over by our record and open by Temporal's. */
const closing = { tries: 40, pauseMs: 50 };

interface StartRequest {
  workflow: string;
  workflowId: string;
  steps: readonly StepName[];
  input: IngestionInput | RetrainingInput;
  modelName: string | null;
}

/** What a run keeps about the request that started it; those who join read it. One that we did not start has none. */
const memoSchema = z.object({
  request_id: z.string().catch(''),
  trigger: triggerSchema.catch('manual'),
  dataset: z.string().nullable().catch(null),
});

/** Starts for any process that has a Temporal client and the record. */
export function createRunStarter(options: StarterOptions): RunStarter {
  return {
    startIngestion: (input) =>
      start(options, {
        workflow: workflowTypes.ingestDataset,
        workflowId: ingestionWorkflowId(input.dataset, hashOf({ source: input.source, label: input.label ?? null })),
        steps: ingestionSteps,
        input,
        modelName: null,
      }),
    startRetraining: (input) =>
      start(options, {
        workflow: workflowTypes.retrainingPipeline,
        workflowId: retrainingWorkflowId(input.modelName),
        steps: retrainingSteps,
        input,
        modelName: input.modelName,
      }),
  };
}

/**
 * A run writes its end into our record moments before Temporal closes it. A request that comes in between would join a
 * run that is over: it waits for the close and starts a new one.
 */
async function start(options: StarterOptions, request: StartRequest): Promise<StartedRun> {
  for (let tries = 1; ; tries += 1) {
    const run = await startOnce(options, request);
    if (!run.joined || tries === closing.tries || !(await isOver(options, run.runId))) return run;
    await sleep(closing.pauseMs);
  }
}

async function isOver({ pipelines }: StarterOptions, runId: string): Promise<boolean> {
  const record = await pipelines.get(runId).catch(() => null);
  return record !== null && record.status !== 'running';
}

async function startOnce({ temporal, pipelines, logger }: StarterOptions, request: StartRequest): Promise<StartedRun> {
  const { runId, memo } = await temporal.use((client) => startOrJoin(client, request));
  const joined = memo.request_id !== request.input.requestId;
  try {
    // The workflow opens its record itself when a worker takes it up; a client that asks sooner must find it too.
    await pipelines.open({
      runId,
      workflowId: request.workflowId,
      workflow: request.workflow,
      trigger: memo.trigger,
      modelName: request.modelName,
      dataset: memo.dataset ?? request.input.dataset,
      steps: request.steps,
    });
  } catch (error) {
    logger.warn({ error, run_id: runId }, 'the run was started; its record will be opened by the worker');
  }
  return { workflowId: request.workflowId, runId, joined };
}

async function startOrJoin(
  client: Client,
  { workflow, workflowId, input, modelName }: StartRequest,
): Promise<{ runId: string; memo: z.output<typeof memoSchema> }> {
  const memo = { request_id: input.requestId, trigger: input.trigger, dataset: input.dataset };
  const handle = await client.workflow.start(workflow, {
    taskQueue: taskQueues.pipeline,
    workflowId,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    args: [input],
    memo,
    typedSearchAttributes: attributesOf(input, modelName),
  });
  const described = await describeStarted(client, workflowId, handle.firstExecutionRunId);
  return { runId: firstRunOf(described), memo: memoSchema.parse(described.memo ?? {}) };
}

async function describeStarted(
  client: Client,
  workflowId: string,
  runId: string,
): Promise<WorkflowExecutionDescription> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    throw new PerennialError(
      'temporal_unavailable',
      `The run ${runId} of ${workflowId} was started, but Temporal does not tell how it stands. Try again: you join it.`,
      { cause: error },
    );
  }
}

const keys = {
  model: defineSearchAttributeKey('MlModel', SearchAttributeType.KEYWORD),
  dataset: defineSearchAttributeKey('MlDataset', SearchAttributeType.KEYWORD),
  trigger: defineSearchAttributeKey('MlTrigger', SearchAttributeType.KEYWORD),
  stage: defineSearchAttributeKey('MlStage', SearchAttributeType.KEYWORD),
};

/** The search attributes by which a run is found. */
export function attributesOf(
  input: { dataset: string; trigger: string },
  modelName: string | null,
): SearchAttributePair[] {
  return [
    { key: keys.dataset, value: input.dataset },
    { key: keys.trigger, value: input.trigger },
    { key: keys.stage, value: 'start' },
    ...(modelName === null ? [] : [{ key: keys.model, value: modelName }]),
  ];
}

/** A run that continued as new keeps the id of its first run in our record. */
export function firstRunOf({ runId, raw }: WorkflowExecutionDescription): string {
  const first = raw.workflowExecutionInfo?.firstRunId;
  return first === undefined || first === null || first === '' ? runId : first;
}

function hashOf(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
