import { snakeCase } from '../contracts/http/spelling.js';

/** An activity that a pipeline or one of its children ran. */
export interface RanActivity {
  workflowId: string;
  activityType: string;
}

/** Activities whose step has another name. */
const stepsOf: Readonly<Record<string, readonly string[]>> = {
  scanSource: ['scan'],
  ingestBatch: ['ingest_images'],
  commitDatasetVersion: ['commit_version'],
  trainOnNewVersion: ['start_training'],
  sourcesToRescan: ['prepare_training_data'],
  selectTrainingData: ['prepare_training_data'],
  beginBatch: ['list_items'],
  listBatchItems: ['list_items'],
  predictBatchChunk: ['predict'],
  mergeBatchResults: ['merge_results'],
  extractFeatures: ['extract_features', 'train_new_model'],
  fitModel: ['train_new_model'],
  packageModel: ['train_new_model'],
  registerModel: ['train_new_model'],
  failTraining: ['train_new_model'],
  validateCandidate: ['validate_new_model'],
  moveProduction: ['deploy_new_model'],
  checkReplicas: ['deploy_new_model'],
  moveProductionBack: ['deploy_new_model'],
  openPipeline: ['start'],
  closePipeline: ['end'],
};

/**
 * The step of a pipeline that an activity belongs to. For an activity of a child workflow it is the step at the end of
 * the child's workflow id, else the step that the activity is named after. Null for activities without a step, such as
 * those that write the run record.
 */
export function stepOfActivity(
  pipeline: { id: string; workflowId: string; steps: readonly { name: string }[] },
  { workflowId, activityType }: RanActivity,
): string | null {
  const names = pipeline.steps.map(({ name }) => name);
  const prefix = `${pipeline.workflowId}-${pipeline.id}-`;
  if (workflowId.startsWith(prefix)) {
    const suffix = workflowId.slice(prefix.length);
    return names.find((name) => suffix === name || suffix.startsWith(`${name}-`)) ?? null;
  }
  if (names.length === 1) return names[0] ?? null;
  const candidates = stepsOf[activityType] ?? [snakeCase(activityType)];
  return candidates.find((candidate) => names.includes(candidate)) ?? null;
}
