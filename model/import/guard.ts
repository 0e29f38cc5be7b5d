import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Limits of a process that checks an untrusted model. */
export interface Limits {
  memoryBytes: number;
  timeMs: number;
}

/**
 * Kills this process when it exceeds the limits, even while a runtime blocks its main thread; the reason goes to
 * stderr. Resolves once the watchdog runs, with a function that stops it.
 */
export async function guardProcess(limits: Limits): Promise<() => Promise<void>> {
  const thread = new Worker(new URL('./guard-thread.js', import.meta.url), { workerData: limits });
  await once(thread, 'message');
  return async () => {
    await thread.terminate();
  };
}
