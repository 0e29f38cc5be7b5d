import { CancellationScope, ContinueAsNew, continueAsNew, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { BatchResult } from '../activities/ingestion/ingest-batch.js';
import type { ResolvedSource } from '../activities/ingestion/resolve-source.js';
import type { ScanResult } from '../activities/ingestion/scan-source.js';
import type { IngestionActivities } from '../activities/ingestion/activities.js';
import { ingestionSteps } from '../contracts/names.js';
import type { IngestionInput, IngestionResult } from '../contracts/datasets/ingestion.js';
import { recordOptions, storageOptions } from './activity-options.js';
import { recordPipeline } from './pipeline-record.js';
import type { StepTracker } from './progress.js';

const { resolveSource, scanSource, ingestBatch, commitDatasetVersion, discardUpload } =
  proxyActivities<IngestionActivities>(storageOptions);
const { abandonIngestion } = proxyActivities<IngestionActivities>(recordOptions);

const filesPerBatch = 250;
/** Batches after which the workflow goes on with an empty history. */
const batchesPerRun = 16;

/** What a run hands to the one that continues it. */
interface Handover {
  source: ResolvedSource;
  scan: ScanResult;
}

/** Looks at a source, takes in the images that are new, and makes the dataset version that results. */
export async function ingestDataset(input: IngestionInput, handover?: Handover): Promise<IngestionResult> {
  const { dataset, trigger } = input;
  // The first run's id stays the same when the workflow continues as new, and differs for every ingestion.
  const ingestionId = workflowInfo().firstExecutionRunId;
  return recordPipeline({ trigger, modelName: null, dataset, steps: ingestionSteps }, async (story) => {
    try {
      const source = await story.step(
        'resolve_source',
        async () => handover?.source ?? (await resolveSource({ ingestionId, dataset, source: input.source })),
        ({ kind, locator, note }) => note ?? `${kind} ${locator}`,
      );
      const scan = await story.step(
        'scan',
        async () => handover?.scan ?? (await scanSource({ ingestionId })),
        ({ files }) => `${files} files`,
      );
      await story.step('ingest_images', () => ingestImages(story, input, { source, scan }), tellBatch);
      const result = await story.step('commit_version', () => commitDatasetVersion({ ingestionId }), tellVersion);
      if (source.kind === 'upload') await discardUpload({ uploadId: source.locator });
      return result;
    } catch (error) {
      if (!(error instanceof ContinueAsNew)) {
        await CancellationScope.nonCancellable(() => abandonIngestion({ ingestionId }));
      }
      throw error;
    }
  });
}

/** Batch after batch until no file is left; hands over to a fresh run when this one's history has grown long. */
async function ingestImages(story: StepTracker, input: IngestionInput, handover: Handover): Promise<BatchResult> {
  const ingestionId = workflowInfo().firstExecutionRunId;
  for (let batch = 1; ; batch += 1) {
    const result = await ingestBatch({ ingestionId, limit: filesPerBatch });
    if (result.pending === 0) return result;
    story.note('ingest_images', `${handover.scan.files - result.pending} of ${handover.scan.files} files`);
    if (batch >= batchesPerRun || workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof ingestDataset>(input, handover);
    }
  }
}

function tellBatch({ newImages, accepted, duplicates, quarantined }: BatchResult): string {
  return `${accepted} images accepted, ${newImages} of them new, ${duplicates} duplicates, ${quarantined} quarantined`;
}

function tellVersion({ version, isNewVersion, statistics }: IngestionResult): string {
  return `version ${version}${isNewVersion ? '' : ', as before'}: ${statistics.images} images`;
}
