import { CancellationScope, ContinueAsNew, continueAsNew, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { BatchResult } from '../activities/ingestion/ingest-batch.js';
import type { ResolvedSource } from '../activities/ingestion/resolve-source.js';
import type { ScanResult } from '../activities/ingestion/scan-source.js';
import type { IngestionActivities } from '../activities/ingestion/activities.js';
import { ingestionStepsOf } from '../contracts/names.js';
import type { IngestionInput, IngestionResult, StartedTraining } from '../contracts/datasets/ingestion.js';
import type { RequestActivities } from '../activities/retraining/request-activities.js';
import { recordOptions, storageOptions } from './activity-options.js';
import { recordPipeline } from './pipeline-record.js';
import type { StepTracker } from './progress.js';

const { resolveSource, scanSource, ingestBatch, commitDatasetVersion, discardUpload } =
  proxyActivities<IngestionActivities>(storageOptions);
const { abandonIngestion } = proxyActivities<IngestionActivities>(recordOptions);
const { trainOnNewVersion } = proxyActivities<RequestActivities>(recordOptions);

/** Three seconds of work on two cores: the end of each batch leaves cores idle for a moment. */
const filesPerBatch = 1_000;
/** Batches after which the workflow continues as new, with an empty history. */
const batchesPerRun = 16;

/** State that a run passes to the run that continues it. */
interface Continuation {
  source: ResolvedSource;
  scan: ScanResult;
}

/** Scans a source, stores its new images, and commits the resulting dataset version. */
export async function ingestDataset(input: IngestionInput, continuation?: Continuation): Promise<IngestionResult> {
  const { dataset, trigger, replaces } = input;
  // The id of the first run stays the same when the workflow continues as new, and is unique for each ingestion.
  const ingestionId = workflowInfo().firstExecutionRunId;
  return recordPipeline({ trigger, modelName: null, dataset, steps: ingestionStepsOf(input) }, async (progress) => {
    try {
      const source = await progress.step(
        'resolve_source',
        async () =>
          continuation?.source ?? (await resolveSource({ ingestionId, dataset, source: input.source, replaces })),
        ({ kind, locator, note }) => note ?? `${kind} ${locator}`,
      );
      const scan = await progress.step(
        'scan',
        async () => continuation?.scan ?? (await scanSource({ ingestionId })),
        ({ files, note }) => [`${files} files`, ...(note === undefined ? [] : [note])].join('; '),
      );
      await progress.step('ingest_images', () => ingestImages(progress, input, { source, scan }), describeBatch);
      const result = await progress.step(
        'commit_version',
        () => commitDatasetVersion({ ingestionId }),
        describeVersion,
      );
      if (source.kind === 'upload') await discardUpload({ uploadId: source.locator });
      const training = await startTraining(progress, input, result);
      return training ? { ...result, training } : result;
    } catch (error) {
      if (!(error instanceof ContinueAsNew)) {
        await CancellationScope.nonCancellable(() => abandonIngestion({ ingestionId }));
      }
      throw error;
    }
  });
}

/** Starts the training that the client asked for, once: a repeated activity finds what the first one did. */
async function startTraining(
  progress: StepTracker,
  { dataset, thenTrain }: IngestionInput,
  { version }: IngestionResult,
): Promise<StartedTraining | null> {
  if (!thenTrain) return null;
  const { workflowId, firstExecutionRunId } = workflowInfo();
  return progress.step(
    'start_training',
    () => trainOnNewVersion({ ...thenTrain, dataset, version, workflowId, ingestionId: firstExecutionRunId }),
    ({ reason }) => reason,
  );
}

/** Ingests batches until no file is pending; continues as new when the history has grown long. */
async function ingestImages(
  progress: StepTracker,
  input: IngestionInput,
  continuation: Continuation,
): Promise<BatchResult> {
  const ingestionId = workflowInfo().firstExecutionRunId;
  for (let batch = 1; ; batch += 1) {
    const result = await ingestBatch({ ingestionId, limit: filesPerBatch });
    if (result.pending === 0) return result;
    progress.note('ingest_images', `${continuation.scan.files - result.pending} of ${continuation.scan.files} files`);
    if (batch >= batchesPerRun || workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof ingestDataset>(input, continuation);
    }
  }
}

function describeBatch({ newImages, accepted, duplicates, quarantined }: BatchResult): string {
  return `${accepted} images accepted, ${newImages} of them new, ${duplicates} duplicates, ${quarantined} quarantined`;
}

function describeVersion({ version, isNewVersion, statistics }: IngestionResult): string {
  return `version ${version}${isNewVersion ? '' : ' (unchanged)'}: ${statistics.images} images`;
}
