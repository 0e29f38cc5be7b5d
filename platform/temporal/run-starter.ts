import { setTimeout as sleep } from 'node:timers/promises';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  type Client,
  type WorkflowExecutionDescription,
} from '@temporalio/client';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { taskQueues, type StepName } from '../../contracts/names.js';
import { triggerSchema, type PipelineOpening, type RunStatus, type Trigger } from '../../contracts/workflows/runs.js';
import type { Logger } from '../logging.js';
import { attributesOf } from './run-attributes.js';

export interface StartedRun {
  workflowId: string;
  runId: string;
  /** Whether a run of this id was under way already, so that this request joined it. */
  joined: boolean;
}

export interface StartRequest {
  workflow: string;
  workflowId: string;
  steps: readonly StepName[];
  input: object;
  requestId: string;
  trigger: Trigger;
  modelName: string | null;
  dataset: string | null;
  /** Whether the id is used for one run only, for ever. */
  once?: boolean;
}

/**
 * Starts workflows. A request for what is under way joins it. A start that throws `temporal_unavailable` may have
 * happened all the same; any other error means that it has not.
 */
export interface RunStarter {
  start(request: StartRequest): Promise<StartedRun>;
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

/** What a run keeps about the request that started it; those who join read it. One that we did not start has none. */
const memoSchema = z.object({
  request_id: z.string().catch(''),
  trigger: triggerSchema.catch('manual'),
  dataset: z.string().nullable().catch(null),
});

/** Starts for any process that has a Temporal client and the record. */
export function createRunStarter(options: StarterOptions): RunStarter {
  return { start: (request) => (request.once === true ? startOnce(options, request) : start(options, request)) };
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
  const joined = memo.request_id !== request.requestId;
  try {
    // The workflow opens its record itself when a worker takes it up; a client that asks sooner must find it too.
    await pipelines.open({
      runId,
      workflowId: request.workflowId,
      workflow: request.workflow,
      trigger: memo.trigger,
      modelName: request.modelName,
      dataset: memo.dataset ?? request.dataset,
      steps: request.steps,
    });
  } catch (error) {
    logger.warn({ error, run_id: runId }, 'the run was started; its record will be opened by the worker');
  }
  return { workflowId: request.workflowId, runId, joined };
}

async function startOrJoin(
  client: Client,
  request: StartRequest,
): Promise<{ runId: string; memo: z.output<typeof memoSchema> }> {
  const { workflowId, requestId, trigger, dataset } = request;
  const runId = await startWorkflow(client, request, { request_id: requestId, trigger, dataset });
  const described = await describeStarted(client, workflowId, runId);
  return { runId: firstRunOf(described), memo: memoSchema.parse(described.memo ?? {}) };
}

/** Gives the id of the run; none for one that is over and was found by its workflow's id. */
async function startWorkflow(
  client: Client,
  { workflow, workflowId, input, trigger, dataset, modelName, once = false }: StartRequest,
  memo: Record<string, unknown>,
): Promise<string | undefined> {
  try {
    const handle = await client.workflow.start(workflow, {
      taskQueue: taskQueues.pipeline,
      workflowId,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      workflowIdReusePolicy: once ? WorkflowIdReusePolicy.REJECT_DUPLICATE : WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      args: [input],
      memo,
      typedSearchAttributes: attributesOf({ dataset, trigger }, modelName),
    });
    return handle.firstExecutionRunId;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

async function describeStarted(
  client: Client,
  workflowId: string,
  runId: string | undefined,
): Promise<WorkflowExecutionDescription> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    throw new PerennialError(
      'temporal_unavailable',
      `A run of ${workflowId} was started, but Temporal does not tell how it stands. Try again: you join it.`,
      { cause: error },
    );
  }
}

/** A run that continued as new keeps the id of its first run in our record. */
export function firstRunOf({ runId, raw }: WorkflowExecutionDescription): string {
  const first = raw.workflowExecutionInfo?.firstRunId;
  return first === undefined || first === null || first === '' ? runId : first;
}
