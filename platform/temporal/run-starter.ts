import { hash } from 'node:crypto';
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
  /** Whether the request joined a run that was already in progress. */
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
  /** Whether the workflow id is never reused, not even after the run has ended. */
  once?: boolean;
  /** The wishes that a request must share with the run it joins; omitted where the workflow id names them all. */
  wishes?: object;
}

/**
 * Starts workflows. A request for a run in progress joins it if both have the same wishes; otherwise it fails with
 * `run_in_progress`. After `temporal_unavailable` the workflow may have been
 * started nevertheless; after any other error it has not.
 */
export interface RunStarter {
  start(request: StartRequest): Promise<StartedRun>;
}

/** The part of the pipeline store that the starter uses. */
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

/** How long to wait for Temporal to close a run that has ended in the database. */
const closing = { attempts: 40, pauseMs: 50 };

/** Memo of a run about the request that started it, read by requests that join. A run started elsewhere has none. */
const memoSchema = z.object({
  request_id: z.string().catch(''),
  trigger: triggerSchema.catch('manual'),
  dataset: z.string().nullable().catch(null),
  /** Runs of earlier releases have none. */
  wishes_sha256: z.string().nullable().catch(null),
});
type Memo = z.output<typeof memoSchema>;

export function createRunStarter(options: StarterOptions): RunStarter {
  return { start: (request) => (request.once === true ? startOnce(options, request) : start(options, request)) };
}

/**
 * A run records its end in the database shortly before Temporal closes it. A request in between would join a run that is
 * over, so it waits until the run is closed and starts a new one.
 */
async function start(options: StarterOptions, request: StartRequest): Promise<StartedRun> {
  for (let attempt = 1; ; attempt += 1) {
    const run = await startOnce(options, request);
    if (!run.joined || attempt === closing.attempts || !(await isOver(options, run.runId))) return run;
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
  if (joined) requireSameWishes(request, runId, memo);
  try {
    // The workflow inserts this row itself once a worker runs it; a client may read the run before that.
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
    logger.warn(
      { error, run_id: runId },
      'the run was started, but not recorded in the database; the worker will record it',
    );
  }
  return { workflowId: request.workflowId, runId, joined };
}

/** Throws `run_in_progress` if the run was started with other wishes than these. */
function requireSameWishes(request: StartRequest, runId: string, memo: Memo): void {
  const sameDataset = memo.dataset === null || request.dataset === null || memo.dataset === request.dataset;
  const digest = wishesDigest(request);
  if (sameDataset && (digest === null || memo.wishes_sha256 === null || memo.wishes_sha256 === digest)) return;
  const other = memo.dataset === null ? '' : ` on dataset ${memo.dataset}`;
  const difference = sameDataset ? 'other settings' : `dataset ${request.dataset ?? ''}`;
  throw new PerennialError(
    'run_in_progress',
    `Run ${runId} of ${request.workflowId} is in progress${other}, and this request asks for ${difference}. Wait until the run has ended, or cancel it: POST /api/v1/pipelines/${runId}/cancel.`,
  );
}

function wishesDigest({ wishes }: StartRequest): string | null {
  return wishes === undefined ? null : hash('sha256', JSON.stringify(wishes));
}

async function startOrJoin(client: Client, request: StartRequest): Promise<{ runId: string; memo: Memo }> {
  const { workflowId, requestId, trigger, dataset } = request;
  const memo = { request_id: requestId, trigger, dataset, wishes_sha256: wishesDigest(request) };
  const runId = await startWorkflow(client, request, memo);
  const described = await describeStarted(client, workflowId, runId);
  return { runId: firstRunOf(described), memo: memoSchema.parse(described.memo ?? {}) };
}

/** Returns the id of the run; undefined when the workflow id belongs to a run that is over. */
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
      `A run of ${workflowId} was started, but Temporal does not return its state. Retry the request: it joins that run.`,
      { cause: error },
    );
  }
}

/** The database knows a run that continued as new by the id of its first run. */
export function firstRunOf({ runId, raw }: WorkflowExecutionDescription): string {
  const first = raw.workflowExecutionInfo?.firstRunId;
  return first === undefined || first === null || first === '' ? runId : first;
}
