import { executeChild, ParentClosePolicy, proxyActivities, uuid4, workflowInfo } from '@temporalio/workflow';
import { retrainingSteps, type RetrainingStep } from '../contracts/names.js';
import type { RetrainingInput, RetrainingResult } from '../contracts/retraining/retraining-pipeline.js';
import type { PromotionResult } from '../contracts/promotion/promotion-pipeline.js';
import type { TrainingResult } from '../contracts/training/training-pipeline.js';
import type { ErrorCode } from '../contracts/errors.js';
import type { Source } from '../contracts/datasets/datasets.js';
import type { Decision } from '../contracts/registry/registry.js';
import type { RetrainingActivities, TrainingData } from '../activities/retraining/activities.js';
import { recordOptions } from './activity-options.js';
import { failureOf } from './failure.js';
import { ingestDataset } from './ingest-dataset.js';
import { recordPipeline } from './pipeline-record.js';
import { promoteModel } from './promote-model.js';
import type { StepTracker } from './progress.js';
import { trainModel } from './train-model.js';
import { validateModel } from './validate-model.js';

/** The step's activity, shown under the step's name in the Temporal Web UI. */
function activitiesOf(step: RetrainingStep): RetrainingActivities {
  return proxyActivities<RetrainingActivities>({ ...recordOptions, summary: step });
}

/** A child of this run: its id is derived from ours, its summary is the step's name, it is cancelled with us. */
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

/** `mlops_retraining_pipeline`: looks, prepares, trains, validates, and promotes what is better. */
export async function retrainingPipeline(input: RetrainingInput): Promise<RetrainingResult> {
  const { modelName, dataset, trigger } = input;
  return recordPipeline(
    { trigger, modelName, dataset, steps: retrainingSteps, first: 'start', last: 'end' },
    async (story) => {
      await Promise.all([checkPerformance(story, input), checkNewData(story, input)]);
      const data = await story.step(
        'prepare_training_data',
        () => prepareTrainingData(input),
        ({ datasetVersion, images, notes }) => [`version ${datasetVersion} with ${images} images`, ...notes].join('; '),
      );
      const trained = await story.step('train_new_model', () => train(input, data), tellTraining);
      const decision = await story.step(
        'validate_new_model',
        () => validate(modelName, trained),
        ({ summary }) => summary,
      );
      const deployed = await story.step(
        'deploy_new_model',
        () => deployUnlessOvertaken(input, trained, decision),
        ({ detail }) => detail,
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
      await story.step('send_notification', () =>
        activitiesOf('send_notification').sendNotification({ workflowId: workflowInfo().workflowId, result }),
      );
      return result;
    },
  );
}

function checkPerformance(story: StepTracker, { modelName }: RetrainingInput): Promise<unknown> {
  const { checkModelPerformance } = activitiesOf('check_model_performance');
  return story.step(
    'check_model_performance',
    () => checkModelPerformance({ modelName }),
    ({ detail }) => detail,
  );
}

function checkNewData(story: StepTracker, { modelName, dataset }: RetrainingInput): Promise<unknown> {
  return story.step(
    'check_new_data',
    () => activitiesOf('check_new_data').checkNewData({ modelName, dataset }),
    ({ detail }) => detail,
  );
}

/** Ingests the source that was asked for, or scans the folders the dataset knows again, and takes the newest version. */
async function prepareTrainingData(input: RetrainingInput): Promise<TrainingData & { notes: string[] }> {
  const { sourcesToRescan, selectTrainingData } = activitiesOf('prepare_training_data');
  const sources = input.source ? [input.source] : await sourcesToRescan(input.dataset);
  const notes: string[] = [];
  for (const [index, source] of sources.entries()) {
    const note = await ingest(input, source, `-${index}`);
    if (note !== null) notes.push(note);
  }
  return { ...(await selectTrainingData(input.dataset)), notes };
}

/** What a folder that was known may be today: gone, or empty as a mount point without its disk is. */
const absent: readonly ErrorCode[] = ['source_not_found', 'source_empty'];

/** Gives what a person should know of the source. A known folder that is gone keeps its images: the run goes on. */
async function ingest(
  { dataset, trigger, requestId, source: asked }: RetrainingInput,
  source: Source,
  suffix: string,
): Promise<string | null> {
  try {
    const args: Parameters<typeof ingestDataset> = [{ dataset, source, trigger, requestId }];
    const { note } = await executeChild(ingestDataset, { ...childOf('prepare_training_data', suffix), args });
    return note;
  } catch (error) {
    const { code, message } = failureOf(error);
    if (asked === null && absent.includes(code)) return `${message} Its images stay in the dataset.`;
    throw error;
  }
}

function train(
  { modelName, dataset, hyperparameters }: RetrainingInput,
  { datasetVersion }: TrainingData,
): Promise<TrainingResult> {
  const args: Parameters<typeof trainModel> = [{ modelName, dataset, datasetVersion, hyperparameters, runId: uuid4() }];
  return executeChild(trainModel, { ...childOf('train_new_model'), args });
}

function tellTraining({ version, epochs, newFeatures, test }: TrainingResult): string {
  const [low, high] = test.intervals.accuracy.map((bound) => bound.toFixed(3));
  return `version ${version}: test accuracy ${test.accuracy.toFixed(3)} (${low} to ${high}) after ${epochs} epochs, ${newFeatures} new embeddings`;
}

/** Validations of one version, each against what is in Production by then. */
const mostValidations = 3;

function validate(modelName: string, { version }: TrainingResult, suffix = ''): Promise<Decision> {
  return executeChild(validateModel, { ...childOf('validate_new_model', suffix), args: [{ modelName, version }] });
}

/** While this version was validated another may have been promoted: then it is held against that one. */
async function deployUnlessOvertaken(
  input: RetrainingInput,
  trained: TrainingResult,
  first: Decision,
): Promise<PromotionResult & { decision: Decision }> {
  let decision = first;
  for (let round = 1; ; round += 1) {
    const suffix = round === 1 ? '' : `-${round}`;
    const result = await deploy(input, trained, decision, suffix);
    if (result.outcome !== 'stale' || round === mostValidations) return { ...result, decision };
    decision = await validate(input.modelName, trained, `-${round + 1}`);
  }
}

function deploy(
  { modelName, trigger }: RetrainingInput,
  { version, runId }: TrainingResult,
  decision: Decision,
  suffix: string,
): Promise<PromotionResult> {
  const actor = `pipeline (${trigger})`;
  const idempotencyKey = `run-${runId}${suffix}`;
  return executeChild(promoteModel, {
    ...childOf('deploy_new_model', suffix),
    args: [{ modelName, version, actor, reason: decision.summary, idempotencyKey, decision }],
  });
}
