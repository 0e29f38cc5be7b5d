import { createTrainingActivities } from '../activities/training.js';
import { taskQueues } from '../contracts/names.js';
import { scratchFolder } from '../platform/config.js';
import { runWorker } from './run-worker.js';

/** The training worker: one activity at a time, each with TF.js in a child process of its own. */
await runWorker('training-worker', ({ config, logger, deps }) => ({
  taskQueue: taskQueues.training,
  maxConcurrentActivityTaskExecutions: 1,
  activities: createTrainingActivities({
    ...deps,
    scratchFolder: scratchFolder(config),
    codeRevision: config.CODE_REVISION,
    logger,
  }),
}));
