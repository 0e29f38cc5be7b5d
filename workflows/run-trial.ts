import { proxyActivities } from '@temporalio/workflow';
import { trialSteps } from '../contracts/names.js';
import type { TrialInput, TrialScore } from '../contracts/experiments/tuning.js';
import type { TrialActivities } from '../activities/tuning/activities.js';
import { trainingOptions } from './activity-options.js';
import { endingOf } from './failure.js';
import { trackSteps } from './progress.js';

/** Trains a trial of a search up to a rung, and scores it. */
export async function runTrial(input: TrialInput): Promise<TrialScore> {
  const { runTrialRung } = proxyActivities<TrialActivities>({ ...trainingOptions, summary: nameOf(input) });
  const progress = trackSteps(trialSteps);
  try {
    const score = await progress.step(
      'run_trial',
      () => runTrialRung(input),
      ({ epochs, loss }) => `validation loss ${loss.toFixed(4)} after ${epochs} epochs`,
    );
    progress.end('completed');
    return score;
  } catch (error) {
    progress.end(endingOf(error).status);
    throw error;
  }
}

/** Name of a trial at a rung in the Temporal Web UI. */
export function nameOf({ trial, rung }: TrialInput): string {
  return `trial ${trial.number}, rung ${rung}`;
}
