import { setTimeout as sleep } from 'node:timers/promises';
import type { Thread } from './thread.js';

export interface ThreadSupervisorOptions {
  threads: number;
  start: () => Promise<Thread>;
  /** Called for every thread that ended unexpectedly, and for every replacement that failed to start. */
  onDeath: (message: string) => void;
  /** A thread has started and is free. */
  onStarted: (thread: Thread) => void;
  /** A thread has ended. */
  onEnded: (thread: Thread) => void;
  /** A replacement failed to start and will be retried; `alive` threads are left. */
  onStartFailed: (alive: number) => void;
}

const firstRestartDelayMs = 100;
const longestRestartDelayMs = 10_000;

/** Keeps a number of threads alive: a thread that ends unexpectedly is replaced, with back-off while starts fail. */
export class ThreadSupervisor {
  readonly #options: ThreadSupervisorOptions;
  readonly #alive = new Set<Thread>();
  readonly #replacements = new Set<Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(options: ThreadSupervisorOptions) {
    this.#options = options;
  }

  /** Threads that are running. */
  get alive(): number {
    return this.#alive.size;
  }

  /** Starts all threads; when one fails, the others are closed and its error is thrown. */
  async start(): Promise<void> {
    const { threads, start } = this.#options;
    const starts = await Promise.allSettled(Array.from({ length: threads }, () => start()));
    for (const one of starts) if (one.status === 'fulfilled') this.#adopt(one.value);
    const failed = starts.find((one) => one.status === 'rejected');
    if (failed === undefined) return;
    await this.stop();
    throw failed.reason;
  }

  /** Ends all threads, each when its job is done. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#replacements);
    await Promise.all([...this.#alive].map((thread) => thread.close()));
  }

  #adopt(thread: Thread): void {
    this.#alive.add(thread);
    this.#options.onStarted(thread);
    void thread.ended.then((message) => {
      this.#alive.delete(thread);
      this.#options.onEnded(thread);
      if (this.#stopped.signal.aborted) return;
      this.#options.onDeath(message);
      const replacement = this.#replace().finally(() => this.#replacements.delete(replacement));
      this.#replacements.add(replacement);
    });
  }

  async #replace(): Promise<void> {
    const { signal } = this.#stopped;
    for (let delayMs = firstRestartDelayMs; !signal.aborted; delayMs = Math.min(2 * delayMs, longestRestartDelayMs)) {
      try {
        this.#adopt(await this.#options.start());
        return;
      } catch (error) {
        this.#options.onDeath(String(error));
        this.#options.onStartFailed(this.alive);
        await sleep(delayMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
