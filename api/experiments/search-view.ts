import type { z } from 'zod';
import type {
  searchSummaryViewSchema,
  searchViewSchema,
  trialViewSchema,
  TuningResultView,
} from '../../contracts/experiments/http-tuning.js';
import type { Hyperparameters } from '../../contracts/training/training.js';
import type { SearchBudget, SearchSpace, TuningResult } from '../../contracts/experiments/tuning.js';
import type { SearchRecord, TrialRecord } from '../../stores/experiments/searches.js';

type SearchView = z.input<typeof searchViewSchema>;

/** A search without its trials, in the spelling of HTTP. */
export function searchSummaryView(search: SearchRecord): z.input<typeof searchSummaryViewSchema> {
  const endedAt = search.endedAt === null ? Date.now() : Date.parse(search.endedAt);
  const url = `/api/v1/searches/${search.runId}`;
  return {
    run_id: search.runId,
    model_name: search.modelName,
    dataset: search.dataset,
    dataset_version: search.datasetVersion,
    status: search.status,
    trigger: search.trigger,
    budget: budgetView(search.budget),
    used: {
      trials: search.startedTrials,
      of_trials: search.plannedTrials,
      epochs: search.trainedEpochs,
      seconds: Math.max(0, endedAt - Date.parse(search.startedAt)) / 1000,
    },
    best_trial: search.bestTrial,
    trained_run_id: search.trainedRunId,
    version: search.version === null ? null : String(search.version),
    error: search.error,
    started_at: search.startedAt,
    ended_at: search.endedAt,
    chart_url: `${url}/chart.svg`,
    table_url: `${url}/table.md`,
  };
}

/** A search with every trial, in the spelling of HTTP. */
export function searchView(search: SearchRecord, trials: readonly TrialRecord[]): SearchView {
  const views = trials.map(trialView);
  return {
    ...searchSummaryView(search),
    space: spaceView(search.space),
    best: views.find(({ number }) => number === search.bestTrial) ?? null,
    trials: views,
  };
}

/** The result of a search in the spelling of HTTP. */
export function tuningView({ best, ...result }: TuningResult): TuningResultView {
  return {
    summary: result.summary,
    model_name: result.modelName,
    dataset: result.dataset,
    dataset_version: result.datasetVersion,
    trials: result.trials,
    failed: result.failed,
    best: { ...best, hyperparameters: hyperparametersView(best.hyperparameters) },
    version: String(result.version),
    run_id: result.runId,
    test_accuracy: result.test.accuracy,
  };
}

function trialView({
  number,
  runId,
  status,
  hyperparameters,
  rungs,
  error,
}: TrialRecord): z.input<typeof trialViewSchema> {
  return {
    number,
    run_id: runId,
    status,
    hyperparameters: hyperparametersView(hyperparameters),
    rungs: rungs.map(({ bestEpoch, ...score }) => ({ ...score, best_epoch: bestEpoch })),
    error,
  };
}

function hyperparametersView(chosen: Hyperparameters): z.input<typeof trialViewSchema>['hyperparameters'] {
  return {
    architecture: chosen.architecture,
    epochs: chosen.epochs,
    batch_size: chosen.batchSize,
    learning_rate: chosen.learningRate,
    weight_decay: chosen.weightDecay,
    early_stopping_patience: chosen.earlyStoppingPatience,
    class_weights: chosen.classWeights,
    seed: chosen.seed,
    filters: chosen.filters,
    fine_tune_blocks: chosen.fineTuneBlocks,
  };
}

function spaceView(space: SearchSpace): SearchView['space'] {
  return {
    architecture: space.architecture,
    learning_rate: space.learningRate,
    weight_decay: space.weightDecay,
    batch_size: space.batchSize,
    class_weights: space.classWeights,
    early_stopping_patience: space.earlyStoppingPatience,
    seed: space.seed,
    fine_tune_blocks: space.fineTuneBlocks,
    filters: space.filters,
  };
}

function budgetView(budget: SearchBudget): SearchView['budget'] {
  return {
    trials: budget.trials,
    minutes: budget.minutes,
    reduction_factor: budget.reductionFactor,
    min_epochs: budget.minEpochs,
    max_epochs: budget.maxEpochs,
    seed: budget.seed,
    parallel: budget.parallel,
  };
}
