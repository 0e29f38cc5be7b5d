import type { Actor } from '../../contracts/audit/audit.js';
import type { Source } from '../../contracts/datasets/datasets.js';
import type { StartedTraining } from '../../contracts/datasets/ingestion.js';
import { PerennialError } from '../../contracts/errors.js';
import { retrainingWorkflowId } from '../../contracts/names.js';
import type { RetrainingRequest, RetrainingVerdict } from '../../contracts/retraining/retraining.js';
import { decideRetraining, metricsOf } from '../../domain/retraining/retraining-decision.js';
import type { RunStarter, StartedRun, StarterOptions } from '../../platform/temporal/run-starter.js';
import { isOpen, statusOfRun } from '../../platform/temporal/run-status.js';
import { rescanTarget, type DatasetStore, type SourceKind } from '../../stores/datasets/datasets.js';
import { endOfOrphan, type PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { RetrainingDecision, RetrainingDecisions } from '../../stores/retraining/retraining-decisions.js';
import type { RetrainingInputStore } from '../../stores/retraining/retraining-inputs.js';
import { trainOnNewVersion, type NewVersion } from './train-on-new-version.js';
import { createRetrainingOrders, type RetrainingOrders } from '../../stores/retraining/retraining-orders.js';

export interface RequestDependencies {
  datasets: Pick<DatasetStore, 'detail' | 'newLabels' | 'version'>;
  decisions: RetrainingDecisions;
  facts: RetrainingInputStore;
  pipelines: Pick<PipelineStore, 'close' | 'get'>;
  starter: RunStarter;
  temporalClient: StarterOptions['temporal'];
  /** Dataset of models that have none of their own yet. */
  datasetName: string;
}

/** A request as the workflow passes it on. */
export interface AskedRequest extends RetrainingRequest {
  requestId: string;
  workflowId: string;
  scheduledFor: string | null;
  /** Notes of the search for new files, such as a folder that cannot be read. */
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
  /** Starts the training that an ingestion was asked for. */
  trainOnNewVersion(made: NewVersion): Promise<StartedTraining>;
}

/** Kinds of sources in which people put new images. */
const growing: readonly SourceKind[] = ['folder', 'archive', 'csv', 's3'];

/** A folder scanned more recently is not scanned again: after an outage many missed runs start together. */
const freshMs = 5 * 60_000;

/** Decides on requests to retrain and starts the retrainings. */
export function createRequestActivities(deps: RequestDependencies): RequestActivities {
  const orders = createRetrainingOrders(deps, { judge: decideRetraining, metricsOf });
  return {
    foldersToRescan: (request) => foldersToRescan(deps, request),
    decideOnRetraining: (request) => decide(deps, orders, request),
    startDecidedRetraining: async ({ requestId }) => orders.start(await decided(deps, requestId)),
    noteUnstartedRetraining: ({ requestId, message }) => deps.decisions.notStarted(requestId, message),
    trainOnNewVersion: async (made) => {
      await closeOrphan(deps, made.modelName);
      return trainOnNewVersion({ ...deps, orders }, made);
    },
  };
}

/** No sources while a retraining is running, because it rescans the folders itself. */
async function foldersToRescan(
  deps: RequestDependencies,
  { modelName, dataset: asked }: Pick<RetrainingRequest, 'modelName' | 'dataset'>,
): Promise<{ dataset: string; sources: Source[] }> {
  const { dataset } = await deps.facts.read({ modelName, dataset: asked, fallback: deps.datasetName });
  if ((await deps.decisions.state(modelName)).running) return { dataset, sources: [] };
  const detail = await deps.datasets.detail(dataset);
  const stale = (detail?.sources ?? []).filter(
    ({ kind, scannedAt }) => growing.includes(kind) && Date.now() - Date.parse(scannedAt) > freshMs,
  );
  return { dataset, sources: [...stale.flatMap(rescanTarget), ...(await deps.datasets.newLabels(dataset))] };
}

async function decide(deps: RequestDependencies, orders: RetrainingOrders, request: AskedRequest): Promise<Decided> {
  await closeOrphan(deps, request.modelName);
  const { decision: made } = await orders.decide({ ...request, by: actorOf(request) });
  return { decision: made.decision, reason: made.reason };
}

function actorOf({ kind, trigger, workflowId }: AskedRequest): Actor {
  return { name: kind, via: trigger === 'schedule' ? 'schedule' : 'workflow', from: workflowId, requestId: null };
}

/** Closes a run that was terminated in Temporal: it recorded no end and would block others permanently. */
async function closeOrphan(
  { decisions, pipelines, temporalClient }: RequestDependencies,
  modelName: string,
): Promise<void> {
  const runId = (await decisions.state(modelName)).running?.runId;
  if (runId === undefined || runId === null) return;
  const workflowId = retrainingWorkflowId(modelName);
  const status = await temporalClient.use((client) => statusOfRun(client, workflowId, runId));
  if (!isOpen(status)) await pipelines.close(runId, endOfOrphan());
}

async function decided({ decisions }: RequestDependencies, requestId: string): Promise<RetrainingDecision> {
  const [decision] = await decisions.ofRequests([requestId]);
  if (decision) return decision;
  throw new PerennialError('not_found', `No decision was made on the request ${requestId}.`);
}
