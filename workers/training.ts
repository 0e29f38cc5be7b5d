import { join } from 'node:path';
import { createTrainingActivities } from '../activities/training.js';
import { taskQueues } from '../contracts/names.js';
import { scratchFolder } from '../platform/config.js';
import { ownScratchFolder } from '../platform/own-scratch-folder.js';
import { runWorker } from './run-worker.js';

/** The training worker: one activity at a time, each with TF.js in a child process of its own. */
await runWorker('training-worker', async ({ config, logger, deps }) => {
  const folder = await ownScratchFolder(join(scratchFolder(config), 'training'));
  return {
    taskQueue: taskQueues.training,
    maxConcurrentActivityTaskExecutions: 1,
    activities: createTrainingActivities({
      ...deps,
      scratchFolder: folder,
      codeRevision: config.CODE_REVISION,
      logger,
    }),
  };
});
