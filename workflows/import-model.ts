import { CancellationScope, proxyActivities } from '@temporalio/workflow';
import type { ImportInput, ImportResult } from '../contracts/registry/import.js';
import { importSteps } from '../contracts/names.js';
import type { CheckActivities, ImportActivities } from '../activities/import/activities.js';
import { recordOptions, registrationOptions, storageOptions, trainingOptions } from './activity-options.js';
import { recordPipeline } from './pipeline-record.js';
import { skipped, type StepTracker } from './progress.js';

// Only the training worker has TensorFlow. An ONNX model needs none, so it does not wait for a training to end.
const withTensorFlow = proxyActivities<CheckActivities>(trainingOptions);
const withoutTensorFlow = proxyActivities<CheckActivities>(storageOptions);
const { evaluateModelUpload } = proxyActivities<ImportActivities>(storageOptions);
const { registerModelUpload } = proxyActivities<ImportActivities>(registrationOptions);
const { findImported, discardModelUpload } = proxyActivities<ImportActivities>(recordOptions);

/** Makes a version in Staging from an uploaded TF.js or ONNX model. The uploaded files are deleted in any case. */
export async function importModel(input: ImportInput): Promise<ImportResult> {
  const { modelName, dataset, trigger } = input;
  return recordPipeline({ trigger, modelName, dataset, steps: importSteps }, async (progress) => {
    try {
      const { runId, known } = await findImported(input);
      return known ? await reportKnownVersion(progress, known) : await makeVersion(progress, { ...input, runId });
    } finally {
      // The import must not fail, once its version exists, because the upload cannot be deleted.
      await CancellationScope.nonCancellable(() => discardModelUpload({ uploadId: input.uploadId })).catch(
        () => undefined,
      );
    }
  });
}

async function makeVersion(progress: StepTracker, input: ImportInput & { runId: string }): Promise<ImportResult> {
  const { checkModelUpload } = input.format === 'tfjs' ? withTensorFlow : withoutTensorFlow;
  await progress.step(
    'check_bundle',
    () => checkModelUpload(input),
    ({ notes }) => notes.join(' '),
  );
  const { bundle } = await progress.step(
    'evaluate',
    () => evaluateModelUpload(input),
    ({ accuracy, images }) => `test accuracy ${(100 * accuracy).toFixed(1)} % on ${images} images`,
  );
  return progress.step(
    'register',
    () => registerModelUpload(input, bundle),
    ({ version }) => `version ${version}`,
  );
}

/** The same upload was imported before: no step has anything to do. */
async function reportKnownVersion(progress: StepTracker, known: ImportResult): Promise<ImportResult> {
  for (const step of importSteps) {
    await progress.step(
      step,
      () => Promise.resolve(),
      () => skipped(`already imported as version ${known.version}`),
    );
  }
  return known;
}
