import { proxyActivities } from '@temporalio/workflow';
import { trialSteps } from '../contracts/names.js';
import type { TrialInput, TrialScore } from '../contracts/experiments/tuning.js';
import type { TrialActivities } from '../activities/tuning/activities.js';
import { trainingOptions } from './activity-options.js';
import { endingOf } from './failure.js';
import { trackSteps } from './progress.js';

/** Trains a trial of a search on to a rung, and scores it there. */
export async function runTrial(input: TrialInput): Promise<TrialScore> {
  const { runTrialRung } = proxyActivities<TrialActivities>({ ...trainingOptions, summary: nameOf(input) });
  const story = trackSteps(trialSteps);
  try {
    const score = await story.step(
      'run_trial',
      () => runTrialRung(input),
      ({ epochs, loss }) => `validation loss ${loss.toFixed(4)} after ${epochs} epochs`,
    );
    story.end('completed');
    return score;
  } catch (error) {
    story.end(endingOf(error).status);
    throw error;
  }
}

/** What a trial on its way to a rung is called in the Temporal Web UI. */
export function nameOf({ trial, rung }: TrialInput): string {
  return `trial ${trial.number}, rung ${rung}`;
}
