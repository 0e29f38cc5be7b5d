import { setImmediate as nextRound } from 'node:timers/promises';

/** Weight of the latest turn in the moving average. */
const latestShare = 0.1;
/** A body that takes longer than this has a slow connection and is not counted. */
const quickBodyMs = 100;

/**
 * Queue for parsing that blocks the event loop for some milliseconds, such as JSON pixels: one job per event-loop turn.
 * Without it, many bodies arriving together would delay all other work, and the waiting time would be unknown.
 */
export class ParseQueue {
  #last = Promise.resolve();
  #waiting = 0;
  #coming = 0;
  #turnMs = 0;

  /** Expected waiting time of a body that arrives now. */
  get backlogMs(): number {
    return (this.#waiting + this.#coming) * this.#turnMs;
  }

  /** Announces an incoming body; call the result once it has arrived or failed. */
  announce(): () => void {
    let isOut = false;
    const leave = (): void => {
      if (!isOut) this.#coming -= 1;
      isOut = true;
      clearTimeout(timer);
    };
    const timer = setTimeout(leave, quickBodyMs).unref();
    this.#coming += 1;
    return leave;
  }

  /** Resolves at the caller's turn, which lasts until its next await. */
  async turn(): Promise<void> {
    this.#waiting += 1;
    this.#last = this.#last.then(() => nextRound());
    await this.#last;
    this.#waiting -= 1;
    const startedAt = performance.now();
    // Measure when the caller is done: other work of the event-loop turn does not count.
    process.nextTick(() => this.#note(performance.now() - startedAt));
  }

  #note(turnMs: number): void {
    this.#turnMs = (1 - latestShare) * this.#turnMs + latestShare * turnMs;
  }
}

/** One queue per process, because there is one event loop. */
export const parseQueue = new ParseQueue();
