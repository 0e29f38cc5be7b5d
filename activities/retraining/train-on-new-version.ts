import type { StartedTraining } from '../../contracts/datasets/ingestion.js';
import type { RetrainingStep } from '../../contracts/names.js';
import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import { checkTrainable } from '../../domain/datasets/check-trainable.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { RetrainingDecisions } from '../../stores/retraining/retraining-decisions.js';
import type { RetrainingInputStore } from '../../stores/retraining/retraining-inputs.js';
import type { RetrainingOrders } from '../../stores/retraining/retraining-orders.js';

export interface NewVersion {
  modelName: string;
  dataset: string;
  version: number;
  /** The ingestion that made the version, and its workflow. */
  ingestionId: string;
  workflowId: string;
}

export interface TrainingDependencies {
  datasets: Pick<DatasetStore, 'version'>;
  decisions: Pick<RetrainingDecisions, 'ofRequests' | 'notStarted' | 'state'>;
  facts: Pick<RetrainingInputStore, 'versionTrainedOn'>;
  pipelines: Pick<PipelineStore, 'get'>;
  orders: RetrainingOrders;
}

/**
 * Starts a retraining on a new dataset version, once for each ingestion, or says why not. It joins a retraining under way only if that
 * has yet to take its data.
 */
export async function trainOnNewVersion(deps: TrainingDependencies, made: NewVersion): Promise<StartedTraining> {
  const { modelName, dataset, workflowId } = made;
  const requestId = `ingestion ${made.ingestionId}`;
  const [known] = await deps.decisions.ofRequests([requestId]);
  const whyNot = known ? known.startError : await whyNotTrain(deps, made);
  if (whyNot !== null) return { modelName, runId: null, joined: false, reason: `Not trained: ${whyNot}` };
  const by = { name: 'ingestDataset', via: 'workflow', from: workflowId, requestId: null } as const;
  const request = { requestId, modelName, dataset, kind: 'manual', trigger: 'manual', scheduledFor: null, by } as const;
  const { decision } = await deps.orders.decide(request);
  try {
    const { runId, joined } = await deps.orders.start(decision);
    const reason = `${joined ? 'Joined' : 'Started'} the retraining of ${modelName}: run ${runId}.`;
    return { modelName, runId, joined, reason };
  } catch (error) {
    if (errorCodeOf(error) !== 'run_in_progress') throw error;
    await deps.decisions.notStarted(requestId, messageOf(error));
    return { modelName, runId: null, joined: false, reason: `Not trained: ${messageOf(error)}` };
  }
}

async function whyNotTrain(
  deps: TrainingDependencies,
  { modelName, dataset, version }: NewVersion,
): Promise<string | null> {
  const trained = await deps.facts.versionTrainedOn(modelName, { dataset, version });
  if (trained !== null) return `version ${trained} of ${modelName} was trained on version ${version} of ${dataset}.`;
  const refusal = checkTrainable((await deps.datasets.version(dataset, version)).statistics);
  return refusal ?? whyNotJoin(deps, modelName);
}

const takesData: RetrainingStep = 'prepare_training_data';

/** A retraining under way that has taken its data would not learn from the new version. */
async function whyNotJoin({ decisions, pipelines }: TrainingDependencies, modelName: string): Promise<string | null> {
  const { running } = await decisions.state(modelName);
  if (running === null) return null;
  const record = running.runId === null ? null : await pipelines.get(running.runId);
  if (record?.steps.find(({ name }) => name === takesData)?.status === 'pending') return null;
  return `run ${running.runId ?? 'of a retraining'} is in progress and has taken its data already. Start a retraining when it has ended; continuous training does it by itself.`;
}
