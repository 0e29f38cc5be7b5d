import {
  ApplicationFailure,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import type { SearchBudget, Trial, TrialInput, TrialScore } from '../contracts/experiments/tuning.js';
import { bestOf, brackets, rungs, survivors, type Rung } from '../domain/experiments/successive-halving.js';
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
  /** Stores the results of a rung. */
  endRung(end: RungEnd): Promise<void>;
  /** Receives the progress of the search after each trial. */
  report(detail: string): void;
}

export interface SearchOutcome {
  best: Trial & TrialScore;
  /** Trials that were started. */
  trials: number;
  failed: number;
}

/** Outcome of a trial at a rung; the score is null when it failed. */
interface TrialOutcome {
  input: TrialInput;
  rung: Rung;
  workflowId: string;
  score: TrialScore | null;
  error: Ending['error'] | null;
}

/**
 * Runs a search by successive halving: from each rung the best trials continue with more epochs. A failed trial is
 * dropped and stops nothing else. When the time is up no trial is started, and the finished ones count.
 */
export async function searchTrials(plan: SearchPlan): Promise<SearchOutcome> {
  const { reductionFactor, minEpochs, maxEpochs, minutes } = plan.budget;
  const deadline = minutes === undefined ? Infinity : Date.now() + 60_000 * minutes;
  const outcomes: TrialOutcome[] = [];
  for (const bracket of brackets(plan.trials, plan.budget)) {
    let remaining = bracket;
    for (const rung of rungs(bracket.length, reductionFactor, minEpochs, maxEpochs)) {
      const rungOutcomes = await runRung(plan, remaining, rung, deadline, (outcome) => {
        outcomes.push(outcome);
        plan.report(describeProgress(plan, rung, outcomes));
      });
      if (rungOutcomes.length === 0) break;
      const survivorNumbers = survivors(
        rungOutcomes.map(({ input, score }) => ({ trial: input.trial.number, loss: score?.loss ?? null })),
        reductionFactor,
      );
      await plan.endRung(rungEnd(plan, rungOutcomes, survivorNumbers, bestTrial(outcomes)));
      remaining = remaining.filter(({ number }) => survivorNumbers.includes(number));
    }
  }
  return outcomeOf(plan, outcomes);
}

/** Trains the trials up to the rung, `budget.parallel` at a time. None is started after the deadline. */
async function runRung(
  plan: SearchPlan,
  trials: readonly Trial[],
  rung: Rung,
  deadline: number,
  onOutcome: (outcome: TrialOutcome) => void,
): Promise<TrialOutcome[]> {
  const queue = [...trials];
  const rungOutcomes: TrialOutcome[] = [];
  const worker = async (): Promise<void> => {
    while (Date.now() < deadline) {
      const trial = queue.shift();
      if (!trial) return;
      const outcome = await runOne(plan, trial, rung);
      rungOutcomes.push(outcome);
      onOutcome(outcome);
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: plan.budget.parallel }, worker));
  for (const ended of workers) if (ended.status === 'rejected') throw ended.reason;
  return rungOutcomes;
}

async function runOne(plan: SearchPlan, trial: Trial, rung: Rung): Promise<TrialOutcome> {
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

function bestTrial(outcomes: readonly TrialOutcome[]): number | null {
  return bestOf(
    outcomes.flatMap(({ input, rung, score }) =>
      score ? [{ trial: input.trial.number, rung, loss: score.loss }] : [],
    ),
  );
}

function describeProgress({ trials, budget }: SearchPlan, rung: Rung, outcomes: readonly TrialOutcome[]): string {
  const started = countStarted(outcomes);
  const best = bestTrial(outcomes);
  const score = outcomes.findLast(({ input }) => input.trial.number === best)?.score;
  return [
    budget.minutes === undefined ? `${started} of ${trials.length} trials started` : `${started} trials started`,
    `rung ${rung.number} (${rung.epochs} epochs)`,
    ...(score ? [`the best so far is trial ${best ?? ''} with a validation loss of ${score.loss.toFixed(4)}`] : []),
  ].join(', ');
}

function countStarted(outcomes: readonly TrialOutcome[]): number {
  return new Set(outcomes.map(({ input }) => input.trial.number)).size;
}

function rungEnd(
  { searchId, budget }: SearchPlan,
  rungOutcomes: readonly TrialOutcome[],
  survivorNumbers: readonly number[],
  best: number | null,
): RungEnd {
  const scored = rungOutcomes.filter(({ score }) => score !== null);
  const numbersOf = (some: readonly TrialOutcome[]): number[] => some.map(({ input }) => input.trial.number);
  const isLast = rungOutcomes.some(({ rung }) => rung.epochs === budget.maxEpochs);
  return {
    searchId,
    failed: rungOutcomes.flatMap(({ input, workflowId, error }) => (error ? [{ input, workflowId, error }] : [])),
    stopped: isLast ? [] : numbersOf(scored).filter((number) => !survivorNumbers.includes(number)),
    finished: isLast ? numbersOf(scored) : [],
    best,
  };
}

function outcomeOf({ trials }: SearchPlan, outcomes: readonly TrialOutcome[]): SearchOutcome {
  const number = bestTrial(outcomes);
  const trial = trials.find((each) => each.number === number);
  const score = outcomes.findLast(({ input }) => input.trial.number === number)?.score;
  const failures = outcomes.flatMap(({ error }) => error ?? []);
  const started = countStarted(outcomes);
  if (trial && score) return { best: { ...trial, ...score }, trials: started, failed: failures.length };
  const [first = { code: 'internal', message: 'No trial was started.' }] = failures;
  throw ApplicationFailure.nonRetryable(
    `None of ${started} trials succeeded, so there is no best trial. The first error: ${first.message}`,
    first.code,
  );
}
