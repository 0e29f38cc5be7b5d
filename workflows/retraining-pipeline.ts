import { executeChild, ParentClosePolicy, uuid4, workflowInfo } from '@temporalio/workflow';
import { retrainingSteps, type RetrainingStep } from '../contracts/names.js';
import type { RetrainingInput, RetrainingResult } from '../contracts/retraining/retraining-pipeline.js';
import type { PromotionInput, PromotionResult, ValidationInput } from '../contracts/promotion/promotion-pipeline.js';
import type { TrainingInput, TrainingResult } from '../contracts/training/training-pipeline.js';
import type { ErrorCode } from '../contracts/errors.js';
import type { Source } from '../contracts/datasets/datasets.js';
import type { Decision } from '../contracts/registry/registry.js';
import type { TrainingData } from '../activities/retraining/activities.js';
import { failureOf } from './failure.js';
import { ingestDataset } from './ingest-dataset.js';
import { callShort, localFirst } from './local-first.js';
import { recordPipeline } from './pipeline-record.js';
import { describeDeployment, promote, promoteModel } from './promote-model.js';
import type { StepTracker } from './progress.js';
import { chooseShape } from './run-shape.js';
import { train, trainModel } from './train-model.js';
import { validate, validateModel } from './validate-model.js';

/** Options of a child workflow: id derived from this run's, summary = name of the step, cancelled with this run. */
function childOf(
  step: RetrainingStep,
  suffix = '',
): { workflowId: string; staticSummary: string; parentClosePolicy: ParentClosePolicy } {
  return {
    workflowId: `${workflowInfo().workflowId}-${workflowInfo().firstExecutionRunId}-${step}${suffix}`,
    staticSummary: step,
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
  };
}

/** `mlops_retraining_pipeline`: checks, prepares data, trains, validates, and promotes a better version. */
export async function retrainingPipeline(input: RetrainingInput): Promise<RetrainingResult> {
  const { modelName, dataset, trigger } = input;
  const work = chooseShape().carriesSteps ? inThisWorkflow : inChildren;
  return recordPipeline(
    { trigger, modelName, dataset, steps: retrainingSteps, first: 'start', last: 'end' },
    async (progress) => {
      await Promise.all([checkPerformance(progress, input), checkNewData(progress, input)]);
      const data = await progress.step(
        'prepare_training_data',
        () => prepareTrainingData(input, work),
        ({ datasetVersion, images, notes }) => [`version ${datasetVersion} with ${images} images`, ...notes].join('; '),
      );
      const trained = await progress.step(
        'train_new_model',
        () => work.train(trainingOf(input, data), progress),
        describeTraining,
      );
      const decision = await progress.step(
        'validate_new_model',
        () => work.validate({ modelName, version: trained.version }, ''),
        ({ summary }) => summary,
      );
      const deployed = await progress.step(
        'deploy_new_model',
        () => deployUnlessOvertaken(input, trained, decision, work),
        describeDeployment,
      );
      const result: RetrainingResult = {
        outcome: deployed.outcome,
        summary: deployed.detail,
        modelName,
        version: trained.version,
        runId: trained.runId,
        dataset,
        datasetVersion: data.datasetVersion,
        test: trained.test,
        decision: deployed.decision,
      };
      await progress.step('send_notification', () =>
        callShort('send_notification', ({ sendNotification }) =>
          sendNotification({ workflowId: workflowInfo().workflowId, result }),
        ),
      );
      return result;
    },
  );
}

function checkPerformance(progress: StepTracker, { modelName }: RetrainingInput): Promise<unknown> {
  const step = 'check_model_performance';
  return progress.step(
    step,
    () => callShort(step, ({ checkModelPerformance }) => checkModelPerformance({ modelName })),
    ({ detail }) => detail,
  );
}

function checkNewData(progress: StepTracker, { modelName, dataset }: RetrainingInput): Promise<unknown> {
  const step = 'check_new_data';
  return progress.step(
    step,
    () => callShort(step, ({ checkNewData }) => checkNewData({ modelName, dataset })),
    ({ detail }) => detail,
  );
}

/** Ingests the requested source, or rescans the known folders of the dataset, and selects the newest version. */
async function prepareTrainingData(
  input: RetrainingInput,
  { sourcesToRescan }: Work,
): Promise<TrainingData & { notes: string[] }> {
  const sources = input.source ? [input.source] : await sourcesToRescan(input.dataset);
  const notes: string[] = [];
  for (const [index, source] of sources.entries()) {
    const note = await ingest(input, source, `-${index}`);
    if (note !== null) notes.push(note);
  }
  const data = await callShort('prepare_training_data', ({ selectTrainingData }) => selectTrainingData(input.dataset));
  return { ...data, notes };
}

/** Errors of a known folder that is gone, no longer allowed, or empty like a mount point without its disk. */
const missingSource: readonly ErrorCode[] = ['source_not_found', 'source_not_allowed', 'source_empty'];

/** Returns a note about the source, or null. A known folder that is gone keeps its images, and the run continues. */
async function ingest(
  { dataset, trigger, requestId, source: requestedSource }: RetrainingInput,
  source: Source,
  suffix: string,
): Promise<string | null> {
  try {
    const args: Parameters<typeof ingestDataset> = [{ dataset, source, trigger, requestId }];
    const { note } = await executeChild(ingestDataset, { ...childOf('prepare_training_data', suffix), args });
    return note;
  } catch (error) {
    const { code, message } = failureOf(error);
    if (requestedSource === null && missingSource.includes(code)) return `${message} Its images stay in the dataset.`;
    throw error;
  }
}

function trainingOf({ modelName, dataset, hyperparameters }: RetrainingInput, data: TrainingData): TrainingInput {
  return { modelName, dataset, datasetVersion: data.datasetVersion, hyperparameters, runId: uuid4() };
}

function describeTraining({ version, epochs, newFeatures, test }: TrainingResult): string {
  const [low, high] = test.intervals.accuracy.map((bound) => bound.toFixed(3));
  return `version ${version}: test accuracy ${test.accuracy.toFixed(3)} (${low} to ${high}) after ${epochs} epochs, ${newFeatures} new embeddings`;
}

/** Maximum validations of a version, each against the current Production. */
const maxValidations = 3;

/** If another version was promoted during the validation, validates again, against that version. */
async function deployUnlessOvertaken(
  { modelName, trigger }: RetrainingInput,
  { version, runId }: TrainingResult,
  first: Decision,
  work: Work,
): Promise<PromotionResult & { decision: Decision }> {
  const actor = `pipeline (${trigger})`;
  let decision = first;
  for (let round = 1; ; round += 1) {
    const suffix = round === 1 ? '' : `-${round}`;
    const idempotencyKey = `run-${runId}${suffix}`;
    const reason = decision.summary;
    const result = await work.promote({ modelName, version, actor, reason, idempotencyKey, decision }, suffix);
    if (result.outcome !== 'stale' || round === maxValidations) return { ...result, decision };
    decision = await work.validate({ modelName, version }, `-${round + 1}`);
  }
}

/** How the larger steps run. `suffix` tells the rounds of a step apart. */
interface Work {
  sourcesToRescan(dataset: string): Promise<Source[]>;
  train(input: TrainingInput, progress: StepTracker): Promise<TrainingResult>;
  validate(input: ValidationInput, suffix: string): Promise<Decision>;
  promote(input: PromotionInput, suffix: string): Promise<PromotionResult>;
}

/** Each in a child workflow, as runs do that began with an earlier release. */
const inChildren: Work = {
  sourcesToRescan: (dataset) => callShort('prepare_training_data', ({ sourcesToRescan }) => sourcesToRescan(dataset)),
  train: (input) => executeChild(trainModel, { ...childOf('train_new_model'), args: [input] }),
  validate: (input, suffix) => executeChild(validateModel, { ...childOf('validate_new_model', suffix), args: [input] }),
  promote: (input, suffix) => executeChild(promoteModel, { ...childOf('deploy_new_model', suffix), args: [input] }),
};

/** As activities of this workflow. A promotion that waits for an approval is a workflow that people answer. */
const inThisWorkflow: Work = {
  sourcesToRescan: (dataset) => localFirst('prepare_training_data', ({ sourcesToRescan }) => sourcesToRescan(dataset)),
  train(input, progress) {
    const step = 'train_new_model';
    const within: Pick<StepTracker, 'step'> = {
      step(part, work) {
        progress.note(step, part);
        return work();
      },
    };
    return train(input, within, step);
  },
  validate: (input) => validate(input, 'validate_new_model'),
  promote: (input, suffix) =>
    input.decision?.outcome === 'needs_approval'
      ? inChildren.promote(input, suffix)
      : promote(input, null, 'deploy_new_model'),
};
