import { CancellationScope, proxyActivities } from '@temporalio/workflow';
import type { ImportInput, ImportResult } from '../contracts/registry/import.js';
import { importSteps } from '../contracts/names.js';
import type { CheckActivities, ImportActivities } from '../activities/import/activities.js';
import { recordOptions, registrationOptions, storageOptions, trainingOptions } from './activity-options.js';
import { recordPipeline } from './pipeline-record.js';
import type { StepTracker } from './progress.js';

// TensorFlow is with the training worker; what needs none does not wait for a training to end.
const withTensorFlow = proxyActivities<CheckActivities>(trainingOptions);
const withoutTensorFlow = proxyActivities<CheckActivities>(storageOptions);
const { evaluateModelUpload } = proxyActivities<ImportActivities>(storageOptions);
const { registerModelUpload } = proxyActivities<ImportActivities>(registrationOptions);
const { findImported, discardModelUpload } = proxyActivities<ImportActivities>(recordOptions);

/** From an uploaded TF.js or ONNX model to a version in Staging; the uploaded files are gone afterwards in any case. */
export async function importModel(input: ImportInput): Promise<ImportResult> {
  const { modelName, dataset, trigger } = input;
  return recordPipeline({ trigger, modelName, dataset, steps: importSteps }, async (story) => {
    try {
      const { runId, known } = await findImported(input);
      return known ? await tellKnown(story, known) : await makeVersion(story, { ...input, runId });
    } finally {
      // Files that cannot be removed are no reason to call a version that was made a failure.
      await CancellationScope.nonCancellable(() => discardModelUpload({ uploadId: input.uploadId })).catch(
        () => undefined,
      );
    }
  });
}

async function makeVersion(story: StepTracker, input: ImportInput & { runId: string }): Promise<ImportResult> {
  const { checkModelUpload } = input.format === 'tfjs' ? withTensorFlow : withoutTensorFlow;
  await story.step(
    'check_bundle',
    () => checkModelUpload(input),
    ({ notes }) => notes.join(' '),
  );
  const { bundle } = await story.step(
    'evaluate',
    () => evaluateModelUpload(input),
    ({ accuracy, images }) => `test accuracy ${(100 * accuracy).toFixed(1)} % on ${images} images`,
  );
  return story.step(
    'register',
    () => registerModelUpload(input, bundle),
    ({ version }) => `version ${version}`,
  );
}

/** The same upload has been a version before: nothing of it is done again. */
async function tellKnown(story: StepTracker, known: ImportResult): Promise<ImportResult> {
  for (const step of importSteps) {
    await story.step(
      step,
      () => Promise.resolve(),
      () => `as before: version ${known.version}`,
    );
  }
  return known;
}
