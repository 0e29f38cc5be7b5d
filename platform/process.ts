import { once } from 'node:events';
import { waitArgument, type ReadyMessage } from '../contracts/process.js';
import type { Logger } from './logging.js';

/** Reports to the supervisor, if there is one, that this process is ready. */
export function announceReady(url?: string): void {
  const message: ReadyMessage = url === undefined ? { type: 'ready' } : { type: 'ready', url };
  process.send?.(message);
}

/**
 * Waits until the supervisor says that the services are up, if this process was started before them to load its code
 * meanwhile.
 */
export async function untilServicesAreUp(): Promise<void> {
  if (process.send && process.argv.includes(waitArgument)) await once(process, 'message');
}

/**
 * Runs `stop` once on SIGTERM, SIGINT or when the parent process is gone, then exits with 0, or with 1 when `stop` failed
 * or took longer than `graceMs`.
 */
export function onShutdown(logger: Logger, graceMs: number, stop: () => Promise<void>): void {
  let stopping = false;
  const shutdown = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info({ reason }, 'stopping');
    setTimeout(() => {
      logger.error({ graceMs }, 'did not stop in time');
      process.exit(1);
    }, graceMs).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => shutdown('SIGTERM'));
  process.on('SIGINT', () => shutdown('SIGINT'));
  if (process.send) process.on('disconnect', () => shutdown('parent gone'));
}
