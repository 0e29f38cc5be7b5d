import { setTimeout as sleep } from 'node:timers/promises';
import { PerennialError, messageOf } from '../../contracts/errors.js';
import type { Job, Reply } from './messages.js';
import type { Outcome, Thread } from './thread.js';

export interface ThreadPoolOptions {
  threads: number;
  /** Jobs that may wait for a free thread before more are refused. */
  queueLimit: number;
  start: () => Promise<Thread>;
  /** Told of every thread that ended without being asked to. */
  onDeath: (message: string) => void;
}

export type Answer = Extract<Reply, { type: 'answer' }> & { queueMs: number };

interface Ticket {
  job: Job;
  acceptedAt: number;
  lostThreads: number;
  resolve: (answer: Answer) => void;
  reject: (error: PerennialError) => void;
}

/** A job that two threads died of is not given to a third. */
const lostThreadsAllowed = 1;
const firstRestartDelayMs = 100;
const longestRestartDelayMs = 10_000;

/** Threads that take jobs from one queue, each when it is free. A dead thread is replaced and its job given to another. */
export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #queue: Ticket[] = [];
  readonly #idle = new Set<Thread>();
  readonly #alive = new Set<Thread>();
  readonly #replacements = new Set<Promise<void>>();
  readonly #stopped = new AbortController();
  #working = 0;
  #closing: Promise<void> | null = null;
  #onDrained: (() => void) | null = null;

  private constructor(options: ThreadPoolOptions) {
    this.#options = options;
  }

  /** Starts every thread; when one fails the others are ended and its error is thrown. */
  static async create(options: ThreadPoolOptions): Promise<ThreadPool> {
    const pool = new ThreadPool(options);
    const starts = await Promise.allSettled(Array.from({ length: options.threads }, () => options.start()));
    for (const start of starts) if (start.status === 'fulfilled') pool.#adopt(start.value);
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed !== undefined) {
      await pool.close();
      throw failed.reason;
    }
    return pool;
  }

  /** Jobs that wait for a free thread. */
  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * Does the jobs, which are let in together or not at all.
   * @throws PerennialError overloaded when too many wait already, no_model after close, or what a job fails with
   */
  async run(jobs: readonly Job[]): Promise<Answer[]> {
    if (this.#closing !== null) {
      throw new PerennialError('no_model', 'This model is being put away. Send the request again.');
    }
    if (this.#queue.length >= this.#options.queueLimit) {
      throw new PerennialError(
        'overloaded',
        `${this.#queue.length} predictions are waiting already, and no more are let in. Send the request again later.`,
      );
    }
    const acceptedAt = performance.now();
    const answers = jobs.map(
      (job) =>
        new Promise<Answer>((resolve, reject) => {
          this.#queue.push({ job, acceptedAt, lostThreads: 0, resolve, reject });
        }),
    );
    this.#dispatch();
    return Promise.all(answers);
  }

  /** Takes no more jobs, does those it has, then ends the threads. */
  close(): Promise<void> {
    this.#closing ??= this.#drainAndStop();
    return this.#closing;
  }

  #dispatch(): void {
    for (const thread of this.#idle) {
      const ticket = this.#queue.shift();
      if (ticket === undefined) break;
      this.#idle.delete(thread);
      void this.#work(thread, ticket);
    }
    if (this.#queue.length === 0 && this.#working === 0) this.#onDrained?.();
  }

  async #work(thread: Thread, ticket: Ticket): Promise<void> {
    this.#working += 1;
    const queueMs = performance.now() - ticket.acceptedAt;
    const outcome = await thread.run(ticket.job).catch(refusal);
    this.#working -= 1;
    if (outcome.type === 'died') this.#tryElsewhere(ticket, outcome.message);
    else this.#idle.add(thread);
    if (outcome.type === 'answer') ticket.resolve({ ...outcome, queueMs });
    if (outcome.type === 'refused') ticket.reject(new PerennialError(outcome.code, outcome.message));
    this.#dispatch();
  }

  #tryElsewhere(ticket: Ticket, message: string): void {
    ticket.lostThreads += 1;
    if (ticket.lostThreads <= lostThreadsAllowed) this.#queue.unshift(ticket);
    else ticket.reject(threadLost(message));
  }

  #adopt(thread: Thread): void {
    this.#alive.add(thread);
    this.#idle.add(thread);
    void thread.ended.then((message) => {
      this.#alive.delete(thread);
      this.#idle.delete(thread);
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
        this.#dispatch();
        return;
      } catch (error) {
        this.#options.onDeath(String(error));
        if (this.#closing !== null && this.#alive.size === 0) this.#giveUp();
        await sleep(delayMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** No thread is left and none will start: whoever waits is told, so that closing comes to an end. */
  #giveUp(): void {
    for (const ticket of this.#queue.splice(0)) ticket.reject(threadLost('no inference thread can be started'));
    this.#dispatch();
  }

  async #drainAndStop(): Promise<void> {
    if (this.#queue.length > 0 || this.#working > 0) await new Promise<void>((resolve) => (this.#onDrained = resolve));
    this.#stopped.abort();
    await Promise.all(this.#replacements);
    await Promise.all([...this.#alive].map((thread) => thread.close()));
  }
}

/** A job that could not even be handed over says nothing against the thread. */
function refusal(error: unknown): Outcome {
  return {
    type: 'refused',
    code: 'internal',
    message: `The job could not be given to a thread (${messageOf(error)}).`,
  };
}

function threadLost(message: string): PerennialError {
  return new PerennialError('internal', `The inference thread was lost (${message}). Send the request again.`);
}
