import type { WorkerOptions } from '@temporalio/worker';

/** How much the pipeline worker does at once. */
export const pipelineLimits = {
  // Open runs in memory: the next task of any other run begins with its whole history, fetched and replayed.
  maxCachedWorkflows: 600,
  maxConcurrentActivityTaskExecutions: 20,
} satisfies Partial<WorkerOptions>;
