import { proxyActivities } from '@temporalio/workflow';
import type { ValidationInput } from '../contracts/pipelines.js';
import type { Decision } from '../contracts/registry.js';
import type { ValidationActivities } from '../activities/validation.js';
import { storageOptions } from './activity-options.js';
import { tellStory } from './story.js';

const { validateCandidate } = proxyActivities<ValidationActivities>(storageOptions);

/** Lets the promotion gate decide on a version, after the serving engine has run it beside Production. */
export async function validateModel(input: ValidationInput): Promise<Decision> {
  const story = tellStory(['validate_new_model']);
  const decision = await story.step(
    'validate_new_model',
    () => validateCandidate(input),
    ({ summary }) => summary,
  );
  story.end('completed');
  return decision;
}
