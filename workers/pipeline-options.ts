import type { WorkerOptions } from '@temporalio/worker';

/** How much the pipeline worker does at once. */
export const pipelineLimits = {
  // Open runs in memory, about 0.5 MB each: the next task of any other run fetches and replays its whole history.
  maxCachedWorkflows: 600,
  maxConcurrentActivityTaskExecutions: 20,
} satisfies Partial<WorkerOptions>;
