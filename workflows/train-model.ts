import { CancellationScope, proxyActivities } from '@temporalio/workflow';
import { trainingSteps, type StepName } from '../contracts/names.js';
import type { TrainingInput, TrainingResult } from '../contracts/training/training-pipeline.js';
import type { RegistrationActivities, TrainingActivities } from '../activities/training/activities.js';
import { registrationOptions, trainingOptions } from './activity-options.js';
import { endingOf } from './failure.js';
import { callShort } from './local-first.js';
import { skipped, trackSteps, type StepTracker } from './progress.js';

/** Trains a dataset version into a model version in Staging: features, fit, package, register. */
export async function trainModel(input: TrainingInput): Promise<TrainingResult> {
  const progress = trackSteps(trainingSteps);
  try {
    const result = await train(input, progress);
    progress.end('completed');
    return result;
  } catch (error) {
    progress.end(endingOf(error).status);
    throw error;
  }
}

/** What `trainModel` does. `summary` is the name of its activities in the Temporal Web UI. */
export async function train(
  input: TrainingInput,
  progress: Pick<StepTracker, 'step'>,
  summary?: StepName,
): Promise<TrainingResult> {
  const named = summary ? { summary } : {};
  const training = proxyActivities<TrainingActivities>({ ...trainingOptions, ...named });
  // On the pipeline's queue, so that a long training of another model does not delay them.
  const records = proxyActivities<RegistrationActivities>({ ...registrationOptions, ...named });
  try {
    const { newFeatures } = await progress.step(
      'extract_features',
      () =>
        input.hyperparameters.architecture === 'cnn'
          ? Promise.resolve({ images: 0, newFeatures: 0 })
          : training.extractFeatures(input),
      (result) =>
        input.hyperparameters.architecture === 'cnn'
          ? skipped('this architecture trains on images')
          : `${result.newFeatures} of ${result.images} embeddings were new`,
    );
    const fit = await progress.step(
      'fit',
      () => training.fitModel(input),
      (result) => `${result.epochs} epochs, the best was ${result.bestEpoch}`,
    );
    const bundle = await progress.step('package', () => training.packageModel(input));
    const registered = await progress.step(
      'register',
      () => callShort(summary, ({ registerModel }) => registerModel(input, bundle), registrationOptions),
      ({ version }) => `version ${version}`,
    );
    const { bestEpoch, epochs, weightsSha256 } = fit;
    return { runId: input.runId, bestEpoch, epochs, weightsSha256, newFeatures, ...registered };
  } catch (error) {
    const ending = endingOf(error);
    await CancellationScope.nonCancellable(() => records.failTraining(input.runId, ending));
    throw error;
  }
}
