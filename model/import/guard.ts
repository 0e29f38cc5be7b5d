import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** What a process may use while it tries a model that nobody here has made. */
export interface Limits {
  memoryBytes: number;
  timeMs: number;
}

/**
 * Ends this process when it takes more than that, also while it is deep inside a runtime that gives no control back.
 * Its last words say why. Resolves when it is being watched, with what lifts the limits again.
 */
export async function guardProcess(limits: Limits): Promise<() => Promise<void>> {
  const thread = new Worker(new URL('./guard-thread.js', import.meta.url), { workerData: limits });
  await once(thread, 'message');
  return async () => {
    await thread.terminate();
  };
}
