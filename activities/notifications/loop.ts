import { messageOf } from '../../contracts/errors.js';
import type { Logger } from '../../platform/logging.js';

/** Work that is done again and again until it is stopped. */
export interface Loop {
  /** Begins the next pass now instead of after the pause. */
  wake(): void;
  /** No pass begins any more; resolves when the one under way has ended. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  what: string;
  pass: () => Promise<void>;
  pauseMs: number;
  logger: Logger;
}

/** Runs `pass` until it is stopped, with pauses between. A pass that fails is logged, once until one works again. */
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
        if (failing) logger.info(`${what}: works again`);
        failing = false;
      } catch (error) {
        if (!failing) logger.warn({ error }, `${what}: not possible now, tried again: ${messageOf(error)}`);
        failing = true;
      }
      // Woken while it ran: there may be more. After a failure the pause is kept in any case.
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
