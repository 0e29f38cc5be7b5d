import { proxyActivities } from '@temporalio/workflow';
import { validationSteps } from '../contracts/names.js';
import type { ValidationInput } from '../contracts/promotion/promotion-pipeline.js';
import type { Decision } from '../contracts/registry/registry.js';
import type { ValidationActivities } from '../activities/validation/activities.js';
import { storageOptions } from './activity-options.js';
import { reportOnly } from './pipeline-record.js';

const { validateCandidate } = proxyActivities<ValidationActivities>(storageOptions);

/** Runs the promotion gate on a version, which the serving engine compares with Production on the test images. */
export async function validateModel(input: ValidationInput): Promise<Decision> {
  return reportOnly({ trigger: 'manual', modelName: input.modelName, steps: validationSteps }, (progress) =>
    progress.step(
      'validate_new_model',
      () => validateCandidate(input),
      ({ summary }) => summary,
    ),
  );
}
