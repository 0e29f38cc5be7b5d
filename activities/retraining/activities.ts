import { PerennialError } from '../../contracts/errors.js';
import type { RetrainingResult } from '../../contracts/retraining/retraining-pipeline.js';
import type { Source } from '../../contracts/datasets/datasets.js';
import { checkTrainable } from '../../domain/datasets/check-trainable.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { OutboxStore } from '../../stores/notifications/outbox.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { RetrainingInputStore } from '../../stores/retraining/retraining-inputs.js';
import { percent } from '../../domain/percent.js';

export interface RetrainingDependencies {
  registry: RegistryStore;
  datasets: DatasetStore;
  facts: Pick<RetrainingInputStore, 'read'>;
  outbox: OutboxStore;
}

export interface PerformanceCheck {
  version: number | null;
  accuracy: number | null;
  detail: string;
}

export interface NewDataCheck {
  newImages: number;
  newShare: number;
  detail: string;
}

export interface TrainingData {
  datasetVersion: number;
  images: number;
}

export interface RetrainingActivities {
  checkModelPerformance(input: { modelName: string }): Promise<PerformanceCheck>;
  checkNewData(input: { modelName: string; dataset: string }): Promise<NewDataCheck>;
  sourcesToRescan(dataset: string): Promise<Source[]>;
  selectTrainingData(dataset: string): Promise<TrainingData>;
  sendNotification(input: { workflowId: string; result: RetrainingResult }): Promise<void>;
}

/** The short steps of the retraining pipeline. */
export function createRetrainingActivities(deps: RetrainingDependencies): RetrainingActivities {
  return {
    checkModelPerformance: (input) => checkModelPerformance(deps, input),
    checkNewData: (input) => checkNewData(deps, input),
    sourcesToRescan: async (dataset) => [
      ...(await deps.datasets.rescanTargets(dataset)),
      ...(await deps.datasets.newLabels(dataset)),
    ],
    selectTrainingData: (dataset) => selectTrainingData(deps, dataset),
    sendNotification: (input) => sendNotification(deps, input),
  };
}

async function checkModelPerformance(
  deps: RetrainingDependencies,
  { modelName }: { modelName: string },
): Promise<PerformanceCheck> {
  const production = await deps.registry.production(modelName);
  if (!production) return { version: null, accuracy: null, detail: 'no model is in Production yet' };
  const { accuracy, intervals } = production.evaluation;
  const tested = `version ${production.version} in Production: test accuracy ${withInterval(accuracy, intervals.accuracy)}`;
  const { feedback } = await deps.facts.read({ modelName, dataset: null, fallback: production.dataset });
  const labelled = `${feedback.labelled} labelled predictions`;
  return {
    version: production.version,
    accuracy,
    detail:
      feedback.accuracy === null || feedback.interval === null
        ? `${tested}; no labelled predictions`
        : `${tested}; in production ${withInterval(feedback.accuracy, feedback.interval)} of ${labelled}`,
  };
}

function withInterval(accuracy: number, interval: readonly number[]): string {
  return `${accuracy.toFixed(3)} (${interval.map((bound) => bound.toFixed(3)).join(' to ')})`;
}

/** Counts the images of the newest dataset version that Production does not know with their present label. */
async function checkNewData(
  deps: RetrainingDependencies,
  { modelName, dataset }: { modelName: string; dataset: string },
): Promise<NewDataCheck> {
  const { data } = await deps.facts.read({ modelName, dataset, fallback: dataset });
  if (!data) return { newImages: 0, newShare: 0, detail: `dataset ${dataset} has no version yet` };
  const { images, newImages, newShare } = data;
  return {
    newImages,
    newShare,
    detail: `${newImages} of ${images} images are new (${percent(newShare)})`,
  };
}

async function selectTrainingData(deps: RetrainingDependencies, dataset: string): Promise<TrainingData> {
  const latest = await deps.datasets.latestVersion(dataset);
  if (!latest) {
    throw new PerennialError(
      'not_found',
      `Dataset ${dataset} has no images. Ingest a folder or upload images, then start the training again.`,
    );
  }
  const refusal = checkTrainable(latest.statistics);
  if (refusal !== null) throw new PerennialError('dataset_too_small', refusal);
  return { datasetVersion: latest.version, images: latest.statistics.images };
}

async function sendNotification(
  deps: RetrainingDependencies,
  { workflowId, result }: { workflowId: string; result: RetrainingResult },
): Promise<void> {
  await deps.outbox.add(
    `retraining.${result.outcome}`,
    { workflow_id: workflowId, ...result },
    { key: `notify-${result.runId}` },
  );
}
