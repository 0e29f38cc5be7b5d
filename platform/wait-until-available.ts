import { setTimeout as sleep } from 'node:timers/promises';
import { errorCodeOf, errorTable } from '../contracts/errors.js';
import type { Logger } from './logging.js';

const pauseMs = { first: 250, most: 5_000 };

/**
 * Does what must be done once before work begins, as often as it takes while what it needs is not up yet. Other
 * failures are thrown. Gives up quietly, with false, when `signal` aborts.
 */
export async function waitUntilAvailable(
  what: string,
  work: () => Promise<void>,
  logger: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  for (let pause = pauseMs.first; !signal.aborted; pause = Math.min(pause * 2, pauseMs.most)) {
    try {
      await work();
      return true;
    } catch (error) {
      const code = errorCodeOf(error);
      if (code === 'internal' || !errorTable[code].retryable) throw error;
      logger.warn({ error, pause_ms: pause }, `${what}: not possible yet`);
    }
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
  return false;
}
