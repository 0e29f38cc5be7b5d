import {
  CancellationScope,
  executeChild,
  ParentClosePolicy,
  proxyActivities,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import { tuningSteps, type TuningStep } from '../contracts/names.js';
import type { TrainingResult } from '../contracts/training/training-pipeline.js';
import type { TuningInput, TuningResult } from '../contracts/experiments/tuning.js';
import { sampleTrials } from '../domain/experiments/successive-halving.js';
import type { RetrainingActivities, TrainingData } from '../activities/retraining/activities.js';
import type { TrainingActivities } from '../activities/training/activities.js';
import type { SearchActivities } from '../activities/tuning/activities.js';
import { recordOptions, registrationOptions, trainingOptions } from './activity-options.js';
import { recordPipeline } from './pipeline-record.js';
import { searchTrials, type SearchOutcome } from './search-trials.js';
import { skipped, type StepOutcome, type StepTracker } from './progress.js';
import { trainModel } from './train-model.js';

/** Trials of a search without a limit. A search limited by time plans `maxTrials` and runs as many as fit. */
const defaultTrials = 50;
const maxTrials = 500;

/** The activities of a step on the pipeline's queue, with the step as summary in the Temporal Web UI. */
function searchOf(step: TuningStep): SearchActivities {
  return proxyActivities<SearchActivities>({ ...registrationOptions, summary: step });
}

/**
 * Searches for good hyperparameters: many short trials as child workflows, then fewer and longer ones, then a full
 * training with the best, which is registered in Staging. The test images do not influence the choice.
 */
export async function tuneModel(input: TuningInput): Promise<TuningResult> {
  const { modelName, dataset, trigger } = input;
  const searchId = workflowInfo().firstExecutionRunId;
  const opening = { trigger, modelName, dataset, steps: tuningSteps, first: 'start', last: 'end' } as const;
  return recordPipeline(opening, async (progress) => {
    try {
      const { datasetVersion } = await progress.step(
        'prepare_training_data',
        () => prepare(input, searchId),
        (data) => `version ${data.datasetVersion} with ${data.images} images`,
      );
      await progress.step('extract_features', () => extractFeatures(input, datasetVersion, searchId), describeFeatures);
      const outcome = await progress.step(
        'search',
        () => search(input, datasetVersion, searchId, progress),
        describeOutcome,
      );
      const trained = await progress.step(
        'train_best',
        () => trainBest(input, datasetVersion, outcome),
        describeTrained,
      );
      await searchOf('train_best').closeSearch({ searchId, trained });
      return resultOf(input, datasetVersion, outcome, trained);
    } catch (error) {
      await CancellationScope.nonCancellable(() => searchOf('search').closeSearch({ searchId, trained: null }));
      throw error;
    }
  });
}

async function prepare({ dataset, space, budget }: TuningInput, runId: string): Promise<TrainingData> {
  const { selectTrainingData } = proxyActivities<RetrainingActivities>({
    ...recordOptions,
    summary: 'prepare_training_data',
  });
  const data = await selectTrainingData(dataset);
  const plannedTrials = sampleTrials(space, trialsOf(budget), budget).length;
  const { datasetVersion } = data;
  await searchOf('prepare_training_data').openSearch({ runId, datasetVersion, space, budget, plannedTrials });
  return data;
}

function trialsOf({ trials, minutes }: TuningInput['budget']): number {
  return trials ?? (minutes === undefined ? defaultTrials : maxTrials);
}

type Features = Awaited<ReturnType<TrainingActivities['extractFeatures']>>;

/** Runs once, before the trials that train on features. */
function extractFeatures(
  { dataset, space }: TuningInput,
  datasetVersion: number,
  runId: string,
): Promise<Features | null> {
  if (!space.architecture.includes('efficientnet-lite0')) return Promise.resolve(null);
  const activities = proxyActivities<TrainingActivities>({ ...trainingOptions, summary: 'extract_features' });
  return activities.extractFeatures({ dataset, datasetVersion, runId });
}

function describeFeatures(features: Features | null): string | StepOutcome {
  if (!features) return skipped('no architecture trains on features');
  return `${features.newFeatures} of ${features.images} embeddings were new`;
}

function search(
  { modelName, dataset, space, budget }: TuningInput,
  datasetVersion: number,
  searchId: string,
  progress: StepTracker,
): Promise<SearchOutcome> {
  return searchTrials({
    searchId,
    modelName,
    dataset,
    datasetVersion,
    trials: sampleTrials(space, trialsOf(budget), budget),
    budget,
    endRung: (end) => searchOf('search').endRung(end),
    report: (detail) => progress.note('search', detail),
  });
}

function describeOutcome({ best, trials, failed }: SearchOutcome): string {
  const score = `validation loss ${best.loss.toFixed(4)}, accuracy ${best.accuracy.toFixed(3)}`;
  return `trial ${best.number} of ${trials} is the best: ${score}${failed === 0 ? '' : `; ${failed} failed`}`;
}

function trainBest(
  { modelName, dataset }: TuningInput,
  datasetVersion: number,
  { best: { hyperparameters } }: SearchOutcome,
): Promise<TrainingResult> {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  return executeChild(trainModel, {
    workflowId: `${workflowId}-${firstExecutionRunId}-train_best`,
    staticSummary: 'train_best',
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    args: [{ modelName, dataset, datasetVersion, hyperparameters, runId: uuid4() }],
  });
}

function describeTrained({ version, epochs, test }: TrainingResult): string {
  return `version ${version}: test accuracy ${test.accuracy.toFixed(3)} after ${epochs} epochs`;
}

function resultOf(
  { modelName, dataset }: TuningInput,
  datasetVersion: number,
  { best, trials, failed }: SearchOutcome,
  trained: TrainingResult,
): TuningResult {
  const { number, hyperparameters, loss, accuracy } = best;
  const { version, runId, test } = trained;
  const summary = `${describeOutcome({ best, trials, failed })}; the full training made ${describeTrained(trained)}`;
  const figures = { trials, failed, best: { number, hyperparameters, loss, accuracy }, version, runId, test };
  return { summary, modelName, dataset, datasetVersion, ...figures };
}
