import { CancellationScope, proxyActivities } from '@temporalio/workflow';
import { trainingSteps } from '../contracts/names.js';
import type { TrainingInput, TrainingResult } from '../contracts/training/training-pipeline.js';
import type { RegistrationActivities, TrainingActivities } from '../activities/training/activities.js';
import { registrationOptions, trainingOptions } from './activity-options.js';
import { endingOf } from './failure.js';
import { skipped, trackSteps } from './progress.js';

const training = proxyActivities<TrainingActivities>(trainingOptions);
// On the pipeline's queue, so that a long training of another model does not delay them.
const records = proxyActivities<RegistrationActivities>(registrationOptions);

/** Trains a dataset version into a model version in Staging: features, fit, package, register. */
export async function trainModel(input: TrainingInput): Promise<TrainingResult> {
  const progress = trackSteps(trainingSteps);
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
      () => records.registerModel(input, bundle),
      ({ version }) => `version ${version}`,
    );
    progress.end('completed');
    const { bestEpoch, epochs, weightsSha256 } = fit;
    return { runId: input.runId, bestEpoch, epochs, weightsSha256, newFeatures, ...registered };
  } catch (error) {
    const ending = endingOf(error);
    await CancellationScope.nonCancellable(() => records.failTraining(input.runId, ending));
    progress.end(ending.status);
    throw error;
  }
}
