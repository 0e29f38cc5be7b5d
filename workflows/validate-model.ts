import { proxyActivities } from '@temporalio/workflow';
import { validationSteps, type StepName } from '../contracts/names.js';
import type { ValidationInput } from '../contracts/promotion/promotion-pipeline.js';
import type { Decision } from '../contracts/registry/registry.js';
import type { ValidationActivities } from '../activities/validation/activities.js';
import { storageOptions } from './activity-options.js';
import { reportOnly } from './pipeline-record.js';

/** Runs the promotion gate on a version, which the serving engine compares with Production on the test images. */
export async function validateModel(input: ValidationInput): Promise<Decision> {
  return reportOnly({ trigger: 'manual', modelName: input.modelName, steps: validationSteps }, (progress) =>
    progress.step(
      'validate_new_model',
      () => validate(input),
      ({ summary }) => summary,
    ),
  );
}

/** What `validateModel` does. `summary` is the name of the activity in the Temporal Web UI. */
export function validate(input: ValidationInput, summary?: StepName): Promise<Decision> {
  const options = summary ? { ...storageOptions, summary } : storageOptions;
  return proxyActivities<ValidationActivities>(options).validateCandidate(input);
}
