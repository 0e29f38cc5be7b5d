import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createApprovalActivities } from '../activities/promotion/approval-activities.js';
import { createBatchPredictionActivities } from '../activities/batch-prediction/activities.js';
import { createBackgroundEngines } from '../activities/batch-prediction/background-engines.js';
import { openBackground } from '../activities/batch-prediction/open-background.js';
import type { BatchPredictionDependencies } from '../activities/batch-prediction/dependencies.js';
import { createGuardActivities } from '../activities/promotion/guard-activities.js';
import { createCheckActivities, createImportActivities } from '../activities/import/activities.js';
import { createImageThreads } from '../activities/ingestion/image-threads.js';
import { createIngestionActivities } from '../activities/ingestion/activities.js';
import { createPromotionActivities } from '../activities/promotion/activities.js';
import { createRecordActivities } from '../activities/runtime/records.js';
import { createRequestActivities } from '../activities/retraining/request-activities.js';
import { createRetentionActivities } from '../activities/retention/activities.js';
import { createRetrainingActivities } from '../activities/retraining/activities.js';
import { createRegistrationActivities } from '../activities/training/activities.js';
import { createSearchActivities } from '../activities/tuning/activities.js';
import { startRemeasuring } from '../activities/validation/remeasure.js';
import { createValidationActivities } from '../activities/validation/activities.js';
import type { Variant } from '../contracts/registry/bundle.js';
import { taskQueues } from '../contracts/names.js';
import { minimumSide, type ImageLimits } from '../model/images/inspect.js';
import { bundleFolder, scratchFolder, type Config } from '../platform/config.js';
import type { Logger } from '../platform/logging.js';
import { createProcessTempFolder } from '../platform/process-temp-folder.js';
import { createRunStarter } from '../platform/temporal/run-starter.js';
import { bundlePath } from '../workflows/bundle/path.js';
import type { WorkerDependencies } from './dependencies.js';
import { startNotifications } from './notifications.js';
import { pipelineLimits } from './pipeline-options.js';
import { runWorker } from './run-worker.js';

/** The pipeline worker runs all workflows, and the activities that need no TensorFlow. */
await runWorker(
  'pipeline-worker',
  async ({ config, logger, deps }) => {
    const serving = servingOptions(config);
    const scratch = await createProcessTempFolder(join(scratchFolder(config), 'import'));
    const imports = { ...deps, ...serving, scratchFolder: scratch, codeRevision: config.CODE_REVISION, logger };
    return {
      taskQueue: taskQueues.pipeline,
      workflowBundle: { codePath: bundlePath },
      ...pipelineLimits,
      activities: {
        ...createRecordActivities(deps),
        ...createIngestionActivities({ ...deps, threads: createImageThreads(), config, logger }),
        ...createRetrainingActivities(deps),
        ...createRequestActivities({
          ...deps,
          starter: createRunStarter({ temporal: deps.temporalClient, pipelines: deps.pipelines, logger }),
          datasetName: config.DATASET_NAME,
        }),
        ...createRetentionActivities(deps),
        ...createPromotionActivities(deps),
        ...createApprovalActivities(deps),
        ...createBatchPredictionActivities(await batchDependencies(config, deps, logger)),
        ...createGuardActivities(deps),
        ...createRegistrationActivities({ ...deps, logger }),
        ...createSearchActivities({ ...deps, codeRevision: config.CODE_REVISION }),
        ...createValidationActivities({
          ...deps,
          bundleFolder: bundleFolder(config),
          gate: {
            minAccuracy: config.PROMOTION_MIN_ACCURACY,
            minRecall: config.PROMOTION_MIN_RECALL,
            minCrossValidatedAccuracy: config.PROMOTION_MIN_CV_ACCURACY,
            maxP95Ms: config.PROMOTION_MAX_P95_MS,
          },
          ...serving,
        }),
        ...createCheckActivities(imports),
        ...createImportActivities(imports),
      },
    };
  },
  async (wiring) => {
    const { config, logger, deps } = wiring;
    const notifications = await startNotifications(wiring);
    const remeasuring = startRemeasuring({
      ...deps,
      ...servingOptions(config),
      bundleFolder: bundleFolder(config),
      logger,
    });
    return {
      async stop(graceMs) {
        await Promise.all([notifications.stop(graceMs), remeasuring.stop()]);
      },
    };
  },
);

async function batchDependencies(
  config: Config,
  deps: WorkerDependencies,
  logger: Logger,
): Promise<BatchPredictionDependencies> {
  const { imageLimits } = servingOptions(config);
  const variant = config.SERVING_VARIANT === 'fp32' ? 'fp32' : 'int8';
  const opening = { objects: deps.objects, bundleFolder: bundleFolder(config), imageLimits, variant, logger } as const;
  return {
    ...deps,
    engines: createBackgroundEngines({ open: (version) => openBackground(opening, version), logger }),
    maxImageBytes: config.MAX_UPLOAD_BYTES,
    scratchFolder: await createProcessTempFolder(join(scratchFolder(config), 'batch')),
  };
}

/** How validation and import checks run models: as the API does. */
function servingOptions(config: Config): { threads: number; imageLimits: ImageLimits; variant: Variant | 'auto' } {
  return {
    variant: config.SERVING_VARIANT,
    threads: config.SERVING_THREADS === 0 ? availableParallelism() : config.SERVING_THREADS,
    imageLimits: { maxPixels: config.MAX_IMAGE_PIXELS, maxBytes: config.MAX_UPLOAD_BYTES, minSide: minimumSide },
  };
}
