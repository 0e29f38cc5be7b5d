import { join } from 'node:path';
import { createCheckActivities } from '../activities/import/activities.js';
import { createTrainingActivities } from '../activities/training/activities.js';
import { createTrialActivities } from '../activities/tuning/activities.js';
import { taskQueues } from '../contracts/names.js';
import { scratchFolder } from '../platform/config.js';
import { createProcessTempFolder } from '../platform/process-temp-folder.js';
import { runWorker } from './run-worker.js';

/**
 * The training worker runs one activity at a time, each with TF.js in a child process. Trials share one child process, and
 * packaging reuses that of its fit.
 */
await runWorker('training-worker', async ({ config, logger, deps }) => {
  const scratch = await createProcessTempFolder(join(scratchFolder(config), 'training'));
  const training = { ...deps, scratchFolder: scratch, codeRevision: config.CODE_REVISION, logger };
  return {
    taskQueue: taskQueues.training,
    maxConcurrentActivityTaskExecutions: 1,
    activities: {
      ...createTrainingActivities(training),
      ...createTrialActivities(training),
      ...createCheckActivities(training),
    },
  };
});
