import { Context } from '@temporalio/activity';
import type { TrialInput, TrialScore } from '../../contracts/experiments/tuning.js';
import type { SearchOpening } from '../../stores/experiments/searches.js';
import type { TrialStore } from '../../stores/experiments/trials.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import type { TrainingDependencies } from '../training/dependencies.js';
import { fetchTrainerInputs } from '../training/fit.js';
import { onDataset } from '../training/vanished-data.js';
import { closeSearch, endRung, type RungEnd, type SearchDependencies, type SearchEnd } from './search-record.js';
import { createTrialRunner } from './trial-runner.js';

export interface TrialActivities {
  runTrialRung(input: TrialInput): Promise<TrialScore>;
}

export interface SearchActivities {
  openSearch(opening: SearchOpening): Promise<void>;
  endRung(end: RungEnd): Promise<void>;
  closeSearch(end: SearchEnd): Promise<void>;
}

/** Search activities of the training worker: one trial at a time, in a trainer process that is reused. */
export function createTrialActivities(deps: TrainingDependencies & { trials: TrialStore }): TrialActivities {
  const runner = createTrialRunner({
    ...deps,
    fetchInputs({ trial: { hyperparameters }, ...data }, folder, signal) {
      return fetchTrainerInputs(deps, { ...data, hyperparameters }, folder, signal);
    },
  });
  return {
    async runTrialRung(input) {
      const { workflowExecution, attempt } = Context.current().info;
      const progress = await onDataset(deps.datasets, input, () =>
        withHeartbeat((_report, signal) => runner.run(input, signal)),
      );
      const place = { workflowId: workflowExecution?.workflowId ?? '', codeRevision: deps.codeRevision, attempt };
      await deps.trials.recordRung(input, place, progress);
      const { epochs, bestEpoch, loss, accuracy } = progress;
      return { epochs, bestEpoch, loss, accuracy };
    },
  };
}

/** Records the state of a search, with its chart and tables; short activities of the pipeline worker. */
export function createSearchActivities(deps: SearchDependencies): SearchActivities {
  return {
    openSearch: (opening) => deps.searches.open(opening),
    endRung: (end) => endRung(deps, end),
    closeSearch: (end) => closeSearch(deps, end),
  };
}
