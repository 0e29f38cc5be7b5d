import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Actor } from '../../contracts/audit/audit.js';
import type { Source } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { retrainingWorkflowId } from '../../contracts/names.js';
import type { RetrainingRequest, RetrainingVerdict } from '../../contracts/retraining/retraining.js';
import { hyperparametersSchema } from '../../contracts/training/training.js';
import { decideRetraining, metricsOf } from '../../domain/retraining/retraining-decision.js';
import type { RunStarter, StartedRun } from '../../platform/temporal/run-starter.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { RetrainingDecision, RetrainingDecisions } from '../../stores/retraining/retraining-decisions.js';
import type { RetrainingInputStore } from '../../stores/retraining/retraining-inputs.js';

export interface RequestDependencies {
  datasets: Pick<DatasetStore, 'detail' | 'newLabels'>;
  decisions: RetrainingDecisions;
  facts: RetrainingInputStore;
  pipelines: Pick<PipelineStore, 'close'>;
  starter: Pick<RunStarter, 'startRetraining'>;
  temporalClient: { use<T>(work: (client: Client) => Promise<T>): Promise<T> };
  /** Dataset of models that have none of their own yet. */
  datasetName: string;
}

/** A request as the workflow hands it on. */
export interface AskedRequest extends RetrainingRequest {
  requestId: string;
  workflowId: string;
  scheduledFor: string | null;
  /** What the search for new files met on the way. */
  notes: readonly string[];
}

export interface Decided {
  decision: RetrainingVerdict['decision'];
  reason: string;
}

export interface RequestActivities {
  foldersToRescan(
    request: Pick<RetrainingRequest, 'modelName' | 'dataset'>,
  ): Promise<{ dataset: string; sources: Source[] }>;
  decideOnRetraining(request: AskedRequest): Promise<Decided>;
  startDecidedRetraining(request: Pick<AskedRequest, 'requestId'>): Promise<StartedRun>;
  noteUnstartedRetraining(request: { requestId: string; message: string }): Promise<void>;
}

/** A folder that was looked at a moment ago holds nothing new. Made-up-for ticks come many at a time. */
const freshMs = 5 * 60_000;

/** What a request to retrain is decided with, and how it is carried out. */
export function createRequestActivities(deps: RequestDependencies): RequestActivities {
  return {
    foldersToRescan: (request) => foldersToRescan(deps, request),
    decideOnRetraining: (request) => decide(deps, request),
    startDecidedRetraining: ({ requestId }) => startDecided(deps, requestId),
    noteUnstartedRetraining: ({ requestId, message }) => deps.decisions.notStarted(requestId, message),
  };
}

/** Nothing while a retraining runs, which looks at the folders itself. */
async function foldersToRescan(
  deps: RequestDependencies,
  { modelName, dataset: asked }: Pick<RetrainingRequest, 'modelName' | 'dataset'>,
): Promise<{ dataset: string; sources: Source[] }> {
  const { dataset } = await deps.facts.read({ modelName, dataset: asked, fallback: deps.datasetName });
  if ((await deps.decisions.standing(modelName)).running) return { dataset, sources: [] };
  const detail = await deps.datasets.detail(dataset);
  const stale = (detail?.sources ?? []).filter(
    ({ kind, scannedAt }) => kind === 'folder' && Date.now() - Date.parse(scannedAt) > freshMs,
  );
  const folders = stale.map(({ locator }): Source => ({ kind: 'folder', path: locator }));
  return { dataset, sources: [...folders, ...(await deps.datasets.newLabels(dataset))] };
}

async function decide(deps: RequestDependencies, request: AskedRequest): Promise<Decided> {
  const { modelName, kind, trigger, requestId, scheduledFor, notes } = request;
  await closeOrphan(deps, modelName);
  const facts = await deps.facts.read({ modelName, dataset: request.dataset, fallback: deps.datasetName });
  const { decision, reason } = await deps.decisions.decide(
    {
      requestId,
      modelName,
      dataset: facts.dataset,
      kind,
      by: actorOf(request),
      scheduledFor,
      metrics: metricsOf(facts),
    },
    (standing) => {
      const verdict = decideRetraining({ kind, trigger, facts, standing });
      return { ...verdict, reason: [verdict.reason, ...notes].join(' ') };
    },
  );
  return { decision, reason };
}

function actorOf({ kind, trigger, workflowId }: AskedRequest): Actor {
  return { name: kind, via: trigger === 'schedule' ? 'schedule' : 'workflow', from: workflowId, requestId: null };
}

/** A run that was terminated from outside never said that it ended; it must not hold others back for ever. */
async function closeOrphan(
  { decisions, pipelines, temporalClient }: RequestDependencies,
  modelName: string,
): Promise<void> {
  const runId = (await decisions.standing(modelName)).running?.runId;
  if (runId === undefined || runId === null) return;
  if (await temporalClient.use((client) => isOpen(client, retrainingWorkflowId(modelName), runId))) return;
  const message = 'This run ended without a word, terminated from outside.';
  await pipelines.close(runId, { status: 'cancelled', error: { code: 'cancelled', message } });
}

async function isOpen(client: Client, workflowId: string, runId: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(workflowId, runId).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Starts what was decided, or joins what is under way. A repetition gives the run that was noted before. */
async function startDecided(deps: RequestDependencies, requestId: string): Promise<StartedRun> {
  const decision = await decided(deps, requestId);
  const { modelName, dataset, trigger } = decision;
  if (decision.runId !== null) {
    return { workflowId: retrainingWorkflowId(modelName), runId: decision.runId, joined: decision.joined };
  }
  const { production } = await deps.facts.read({ modelName, dataset, fallback: deps.datasetName });
  const run = await deps.starter.startRetraining({
    modelName,
    dataset,
    trigger,
    requestId,
    source: null,
    hyperparameters: production?.hyperparameters ?? hyperparametersSchema.parse({}),
  });
  await deps.decisions.started(requestId, run);
  return run;
}

async function decided({ decisions }: RequestDependencies, requestId: string): Promise<RetrainingDecision> {
  const [decision] = await decisions.ofRequests([requestId]);
  if (decision) return decision;
  throw new PerennialError('not_found', `No decision was made on the request ${requestId}.`);
}
