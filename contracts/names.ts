/** Names that processes must agree on. Free of zod, so that workflows can import it into their sandbox. */

export const taskQueues = { pipeline: 'pipeline', training: 'training' } as const;

export const workflowTypes = {
  ingestDataset: 'ingestDataset',
  trainModel: 'trainModel',
  validateModel: 'validateModel',
  promoteModel: 'promoteModel',
  guardPromotion: 'guardPromotion',
  retrainingPipeline: 'retrainingPipeline',
  tuneModel: 'tuneModel',
  runTrial: 'runTrial',
  requestRetraining: 'requestRetraining',
  importModel: 'importModel',
  applyRetention: 'applyRetention',
  batchPredict: 'batchPredict',
} as const;

export const progressQuery = 'progress';

/** Header of an activity with the states of steps that its worker writes before the work of the activity. */
export const stepsHeader = 'perennial-steps';

/** Updates of `promoteModel` with the answer of a person. */
export const approveUpdate = 'approve';
export const rejectUpdate = 'reject';

/** The steps of `retrainingPipeline`, in order; each is also the Temporal summary of its activity or child workflow. */
export const retrainingSteps = [
  'start',
  'check_model_performance',
  'check_new_data',
  'prepare_training_data',
  'train_new_model',
  'validate_new_model',
  'deploy_new_model',
  'send_notification',
  'end',
] as const;
export type RetrainingStep = (typeof retrainingSteps)[number];

/** The steps of `ingestDataset`, in order. */
export const ingestionSteps = ['resolve_source', 'scan', 'ingest_images', 'commit_version'] as const;
/** The step that follows them if the client asked for `then_train`. */
const startTrainingStep = 'start_training';
export type IngestionStep = (typeof ingestionSteps)[number] | typeof startTrainingStep;

export function ingestionStepsOf({ thenTrain }: { thenTrain?: unknown }): readonly IngestionStep[] {
  return thenTrain === undefined ? ingestionSteps : [...ingestionSteps, startTrainingStep];
}

/** The steps of `trainModel`, in order. */
export const trainingSteps = ['extract_features', 'fit', 'package', 'register'] as const;
export type TrainingStep = (typeof trainingSteps)[number];

/** The steps of `promoteModel`, when it does not run within a retraining, and of its guard. */
export const promotionSteps = ['deploy_new_model'] as const;
export const validationSteps = ['validate_new_model'] as const;
export const guardSteps = ['guard_promotion'] as const;

/** The steps of `requestRetraining`, in order. */
export const requestSteps = ['look_for_new_files', 'decide', 'start_retraining'] as const;

/** The steps of `tuneModel`, in order, and of each of its trials. */
export const tuningSteps = [
  'start',
  'prepare_training_data',
  'extract_features',
  'search',
  'train_best',
  'end',
] as const;
export type TuningStep = (typeof tuningSteps)[number];
export const trialSteps = ['run_trial'] as const;

/** The steps of `applyRetention` that remove expired items. Predictions first: a version with stored ones is not deleted. */
export const expirySteps = [
  'remove_predictions',
  'retire_model_versions',
  'remove_messages',
  'remove_checkpoints',
  'remove_ingestion_files',
  'remove_uploads',
  'remove_attempts',
] as const;
export type ExpiryStep = (typeof expirySteps)[number];

/** The last step of `applyRetention`: objects that the steps before it, or interrupted work, left without a reference. */
export const orphanStep = 'remove_orphaned_objects';

/** The steps of `applyRetention`, in order. */
export const retentionSteps = [...expirySteps, orphanStep] as const;
type RetentionStep = (typeof retentionSteps)[number];

/** The steps of `importModel`, in order. */
export const importSteps = ['check_bundle', 'evaluate', 'register'] as const;

/** The steps of `batchPredict`, in order. */
export const batchSteps = ['list_items', 'predict', 'merge_results'] as const;

export type StepName =
  | (typeof batchSteps)[number]
  | (typeof importSteps)[number]
  | RetentionStep
  | (typeof guardSteps)[number]
  | (typeof requestSteps)[number]
  | RetrainingStep
  | IngestionStep
  | TrainingStep
  | TuningStep
  | (typeof trialSteps)[number];

/** One retraining per model at a time: a second request with the same inputs joins the run with this id. */
export function retrainingWorkflowId(modelName: string): string {
  return `retrain-${modelName}`;
}

/** One ingestion per dataset and source at a time. `sourceHash` is a hash of the source and its options. */
export function ingestionWorkflowId(dataset: string, sourceHash: string): string {
  return `ingest-${dataset}-${sourceHash}`;
}

/** One search per model at a time: a second request with the same inputs joins the run with this id. */
export function tuningWorkflowId(modelName: string): string {
  return `tune-${modelName}`;
}

/** Id in the database of the run of an upload: `time` counts its imports, after the version of one was deleted. */
export function importRunId(contentId: string, time = 1): string {
  return time === 1 ? `upload-${contentId}` : `upload-${contentId}-${time}`;
}

/** One import at a time of the same upload; `contentId` is the digest of its content. */
export function importWorkflowId(modelName: string, contentId: string): string {
  return `import-${modelName}-${contentId}`;
}

/** Exactly one run per batch prediction. */
export function batchWorkflowId(jobId: string): string {
  return `batch-predict-${jobId}`;
}

/** One manual promotion per idempotency key, whose digest this is. */
export function promotionWorkflowId(modelName: string, keyHash: string): string {
  return `promote-${modelName}-${keyHash}`;
}

/** One manual validation of a version at a time. */
export function validationWorkflowId(modelName: string, version: number): string {
  return `validate-${modelName}-${version}`;
}

/** One guard per change of Production. */
export function guardWorkflowId(modelName: string, generation: number): string {
  return `guard-${modelName}-${generation}`;
}

/** Channel of Postgres LISTEN/NOTIFY that hints at a new serving generation. */
export const generationChannel = 'perennial_generation';

/** Channel of Postgres LISTEN/NOTIFY that hints at a training that is about to come. */
export const trainingChannel = 'perennial_training';

/** Channel of Postgres LISTEN/NOTIFY that hints at messages to send. */
export const outboxChannel = 'perennial_outbox';

/** Search attributes (all Keyword), registered when the namespace is set up. */
export const stageAttribute = 'MlStage';
export const searchAttributes = ['MlModel', 'MlDataset', 'MlTrigger', stageAttribute] as const;
