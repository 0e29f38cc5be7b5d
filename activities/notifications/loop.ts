import { messageOf } from '../../contracts/errors.js';
import type { Logger } from '../../platform/logging.js';

/** Work that is repeated until it is stopped. */
export interface Loop {
  /** Starts the next pass now instead of after the pause. */
  wake(): void;
  /** Starts no more passes; resolves when the running one has ended. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  what: string;
  pass: () => Promise<void>;
  pauseMs: number;
  logger: Logger;
}

/** Runs `pass` until it is stopped, with pauses in between. Logs the first failure in a row, and the recovery. */
export function startLoop({ what, pass, pauseMs, logger }: LoopOptions): Loop {
  let stopped = false;
  let isAwake = false;
  let endPause = (): void => undefined;
  let failing = false;

  const isStopped = (): boolean => stopped;
  const wasWoken = (): boolean => isAwake;
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const run = async (): Promise<void> => {
    while (!isStopped()) {
      isAwake = false;
      try {
        await pass();
        if (failing) logger.info(`${what} works again`);
        failing = false;
      } catch (error) {
        if (!failing) logger.warn({ error }, `${what} failed and is retried: ${messageOf(error)}`);
        failing = true;
      }
      // Skip the pause when woken during the pass, because there may be more work; but always pause after a failure.
      if (!isStopped() && (failing || !wasWoken())) await pause();
    }
  };
  const wake = (): void => {
    isAwake = true;
    endPause();
  };
  const ended = run();
  return {
    wake,
    stop() {
      stopped = true;
      wake();
      return ended;
    },
  };
}
