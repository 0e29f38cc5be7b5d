import {
  ApplicationFailure,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import type { SearchBudget, Trial, TrialInput, TrialScore } from '../contracts/experiments/tuning.js';
import { bestOf, races, rungs, survivors, type Rung } from '../domain/experiments/successive-halving.js';
import type { RungEnd } from '../activities/tuning/search-record.js';
import { failureOf, type Ending } from './failure.js';
import { nameOf, runTrial } from './run-trial.js';

export interface SearchPlan {
  searchId: string;
  modelName: string;
  dataset: string;
  datasetVersion: number;
  trials: readonly Trial[];
  budget: SearchBudget;
  /** Writes down what a rung decided. */
  endRung(end: RungEnd): Promise<void>;
  /** Hears how the search stands after each trial. */
  tell(detail: string): void;
}

export interface Found {
  best: Trial & TrialScore;
  /** Trials that were begun. */
  trials: number;
  failed: number;
}

/** What came of a trial at a rung; the score is null when it failed. */
interface Outcome {
  input: TrialInput;
  rung: Rung;
  workflowId: string;
  score: TrialScore | null;
  error: Ending['error'] | null;
}

/**
 * Races trials by successive halving: at each rung the best go on to more epochs. A trial that fails is out, and ends
 * nothing else. When the time is up, nothing new is begun, and what ran counts.
 */
export async function searchTrials(plan: SearchPlan): Promise<Found> {
  const { reductionFactor, minEpochs, maxEpochs, minutes } = plan.budget;
  const deadline = minutes === undefined ? Infinity : Date.now() + 60_000 * minutes;
  const outcomes: Outcome[] = [];
  for (const race of races(plan.trials, plan.budget)) {
    let contenders = race;
    for (const rung of rungs(race.length, reductionFactor, minEpochs, maxEpochs)) {
      const heard = await runRung(plan, contenders, rung, deadline, (outcome) => {
        outcomes.push(outcome);
        plan.tell(standing(plan, rung, outcomes));
      });
      if (heard.length === 0) break;
      const through = survivors(
        heard.map(({ input, score }) => ({ trial: input.trial.number, loss: score?.loss ?? null })),
        reductionFactor,
      );
      await plan.endRung(rungEnd(plan, heard, through, bestTrial(outcomes)));
      contenders = contenders.filter(({ number }) => through.includes(number));
    }
  }
  return foundIn(plan, outcomes);
}

/** Trains the contenders on to the rung, as many at once as the budget says. Nothing is begun after the deadline. */
async function runRung(
  plan: SearchPlan,
  contenders: readonly Trial[],
  rung: Rung,
  deadline: number,
  hear: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const waiting = [...contenders];
  const heard: Outcome[] = [];
  const lane = async (): Promise<void> => {
    while (Date.now() < deadline) {
      const trial = waiting.shift();
      if (!trial) return;
      const outcome = await runOne(plan, trial, rung);
      heard.push(outcome);
      hear(outcome);
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: plan.budget.parallel }, lane));
  for (const ended of lanes) if (ended.status === 'rejected') throw ended.reason;
  return heard;
}

async function runOne(plan: SearchPlan, trial: Trial, rung: Rung): Promise<Outcome> {
  const { searchId, modelName, dataset, datasetVersion } = plan;
  const input: TrialInput = {
    searchId,
    modelName,
    dataset,
    datasetVersion,
    trial,
    rung: rung.number,
    epochs: rung.epochs,
  };
  const { workflowId: parent, firstExecutionRunId } = workflowInfo();
  const workflowId = `${parent}-${firstExecutionRunId}-trial-${trial.number}-rung-${rung.number}`;
  try {
    const score = await executeChild(runTrial, {
      workflowId,
      staticSummary: nameOf(input),
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      args: [input],
    });
    return { input, rung, workflowId, score, error: null };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { input, rung, workflowId, score: null, error: failureOf(error) };
  }
}

function bestTrial(outcomes: readonly Outcome[]): number | null {
  return bestOf(
    outcomes.flatMap(({ input, rung, score }) =>
      score ? [{ trial: input.trial.number, rung, loss: score.loss }] : [],
    ),
  );
}

function standing({ trials, budget }: SearchPlan, rung: Rung, outcomes: readonly Outcome[]): string {
  const begun = countBegun(outcomes);
  const best = bestTrial(outcomes);
  const score = outcomes.findLast(({ input }) => input.trial.number === best)?.score;
  return [
    budget.minutes === undefined ? `${begun} of ${trials.length} trials begun` : `${begun} trials begun`,
    `rung ${rung.number} (${rung.epochs} epochs)`,
    ...(score ? [`the best so far is trial ${best ?? ''} with a validation loss of ${score.loss.toFixed(4)}`] : []),
  ].join(', ');
}

function countBegun(outcomes: readonly Outcome[]): number {
  return new Set(outcomes.map(({ input }) => input.trial.number)).size;
}

function rungEnd(
  { searchId, budget }: SearchPlan,
  heard: readonly Outcome[],
  through: readonly number[],
  best: number | null,
): RungEnd {
  const scored = heard.filter(({ score }) => score !== null);
  const numbersOf = (some: readonly Outcome[]): number[] => some.map(({ input }) => input.trial.number);
  const isLast = heard.some(({ rung }) => rung.epochs === budget.maxEpochs);
  return {
    searchId,
    failed: heard.flatMap(({ input, workflowId, error }) => (error ? [{ input, workflowId, error }] : [])),
    stopped: isLast ? [] : numbersOf(scored).filter((number) => !through.includes(number)),
    finished: isLast ? numbersOf(scored) : [],
    best,
  };
}

function foundIn({ trials }: SearchPlan, outcomes: readonly Outcome[]): Found {
  const number = bestTrial(outcomes);
  const trial = trials.find((each) => each.number === number);
  const score = outcomes.findLast(({ input }) => input.trial.number === number)?.score;
  const failures = outcomes.flatMap(({ error }) => error ?? []);
  const begun = countBegun(outcomes);
  if (trial && score) return { best: { ...trial, ...score }, trials: begun, failed: failures.length };
  const [first = { code: 'internal', message: 'none was begun' }] = failures;
  throw ApplicationFailure.nonRetryable(
    `None of ${begun} trials came to a result, so there is nothing to choose from. The first said: ${first.message}`,
    first.code,
  );
}
