import { setTimeout as sleep } from 'node:timers/promises';
import { errorCodeOf, errorTable } from '../contracts/errors.js';
import { backoffMs } from './backoff.js';
import type { Logger } from './logging.js';

const pauseMs = { first: 250, most: 5_000 };

/**
 * Retries `work` until the services it needs are available, for instance Postgres during the start. Errors that are not
 * retryable are thrown. Returns false when `signal` aborts first.
 */
export async function waitUntilAvailable(
  what: string,
  work: () => Promise<void>,
  logger: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  for (let failures = 1; !signal.aborted; failures += 1) {
    const pause = backoffMs(pauseMs, failures);
    try {
      await work();
      return true;
    } catch (error) {
      const code = errorCodeOf(error);
      if (code === 'internal' || !errorTable[code].retryable) throw error;
      logger.warn({ error, pause_ms: pause }, `${what}: not possible yet; retrying`);
    }
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
  return false;
}
