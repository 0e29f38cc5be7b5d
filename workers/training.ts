import { join } from 'node:path';
import { createCheckActivities } from '../activities/import/activities.js';
import { createTrainingActivities } from '../activities/training/activities.js';
import { createTrainerPool, type TrainerPool } from '../activities/training/trainer-pool.js';
import { createTrialActivities } from '../activities/tuning/activities.js';
import { taskQueues, trainingChannel } from '../contracts/names.js';
import { bundleFolder, scratchFolder } from '../platform/config.js';
import type { Logger } from '../platform/logging.js';
import { createProcessTempFolder } from '../platform/process-temp-folder.js';
import { runWorker } from './run-worker.js';

let pool: TrainerPool | null = null;
const trainersOf = (logger: Logger): TrainerPool => (pool ??= createTrainerPool(logger));

/**
 * The training worker runs one activity at a time, each with TF.js in a child process. Trials share one child process, and
 * packaging reuses that of its fit, which starts when a retraining begins.
 */
await runWorker(
  'training-worker',
  async ({ config, logger, deps }) => {
    const scratch = await createProcessTempFolder(join(scratchFolder(config), 'training'));
    const training = {
      ...deps,
      scratchFolder: scratch,
      bundleFolder: bundleFolder(config),
      codeRevision: config.CODE_REVISION,
      logger,
    };
    return {
      taskQueue: taskQueues.training,
      maxConcurrentActivityTaskExecutions: 1,
      activities: {
        ...createTrainingActivities(training, trainersOf(logger)),
        ...createTrialActivities(training),
        ...createCheckActivities(training),
      },
    };
  },
  async ({ logger, deps }) => {
    const trainers = trainersOf(logger);
    const unsubscribe = await deps.database.listen(trainingChannel, () => trainers.prepare());
    return {
      async stop() {
        await unsubscribe();
        await trainers.close();
      },
    };
  },
);
