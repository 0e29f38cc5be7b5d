import { setImmediate as nextRound } from 'node:timers/promises';

/** What the latest turn counts for in the moving mean of their times. */
const latestShare = 0.1;
/** A body that takes longer to come than this has a slow line, and holds nobody up. */
const quickBodyMs = 100;

/**
 * Turns at keeping the event loop busy for some milliseconds, as the pixels of an image in JSON do: one in each of its
 * rounds. Many bodies that come together would else hold up everything that is going on, and nobody could know how
 * long the last of them will wait.
 */
export class ParseQueue {
  #last = Promise.resolve();
  #waiting = 0;
  #coming = 0;
  #turnMs = 0;

  /** How long a body that comes now would wait for its turn. */
  get backlogMs(): number {
    return (this.#waiting + this.#coming) * this.#turnMs;
  }

  /** Says that a body is on its way, which will want a turn; call what it gives when it is there, or will not come. */
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

  /** Settles when it is the caller's turn, which lasts until it awaits something. */
  async turn(): Promise<void> {
    this.#waiting += 1;
    this.#last = this.#last.then(() => nextRound());
    await this.#last;
    this.#waiting -= 1;
    const startedAt = performance.now();
    // When the caller is done: what else there is in a round of the event loop is no part of its turn.
    process.nextTick(() => this.#note(performance.now() - startedAt));
  }

  #note(turnMs: number): void {
    this.#turnMs = (1 - latestShare) * this.#turnMs + latestShare * turnMs;
  }
}

/** There is one event loop for the whole process, and so there is one queue for it. */
export const parseQueue = new ParseQueue();
