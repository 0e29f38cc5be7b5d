import { PerennialError, messageOf } from '../../contracts/errors.js';
import { deadlineExceeded, refusalOf, type AdmissionOptions } from './admission.js';
import { batchLimit, type ReleaseReason } from './batch-limit.js';
import { imagesIn, JobQueue, requestFor, type Answer, type JobRequest, type Lane, type Ticket } from './job-queue.js';
import { LatencyMargin } from './latency-margin.js';
import type { Job, JobOutcome } from './messages.js';
import { ThreadCrew } from './thread-crew.js';
import type { Outcome, Thread } from './thread.js';
import { Workload } from './workload.js';

export interface ThreadPoolOptions extends AdmissionOptions {
  threads: number;
  start: () => Promise<Thread>;
  /** Told of every thread that ended without being asked to. */
  onDeath: (message: string) => void;
  /** Told how many images a thread is given at once, and why no more. */
  onBatch?: ((images: number, reason: ReleaseReason) => void) | undefined;
}

export interface RunOptions {
  /** `interactive` unless given. */
  lane?: Lane | undefined;
  /** The moment, in the time of `performance.now()`, from which the answer is of no use any more. */
  deadlineAt?: number | undefined;
}

/** A job that two threads died of is not given to a third. */
const lostThreadsAllowed = 1;
/** A timer waits no longer. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Threads that take jobs from one queue, each when it is free. Background jobs are taken when no others wait, and never
 * by the last thread that is left for those. A dead thread is replaced and its jobs given to another.
 */
export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #queue = new JobQueue();
  readonly #idle = new Set<Thread>();
  readonly #workload = new Workload();
  readonly #margin = new LatencyMargin();
  readonly #crew: ThreadCrew;
  #closing: Promise<void> | null = null;
  #onDrained: (() => void) | null = null;

  private constructor(options: ThreadPoolOptions) {
    this.#options = options;
    this.#crew = new ThreadCrew({
      ...options,
      onJoin: (thread) => {
        this.#idle.add(thread);
        this.#dispatch();
      },
      onLeave: (thread) => this.#idle.delete(thread),
      onStartFailed: (alive) => {
        if (this.#closing !== null && alive === 0) this.#giveUp();
      },
    });
  }

  /** Starts every thread; when one fails the others are ended and its error is thrown. */
  static async create(options: ThreadPoolOptions): Promise<ThreadPool> {
    const pool = new ThreadPool(options);
    await pool.#crew.start();
    return pool;
  }

  /** Images that wait for a free thread. */
  get waiting(): number {
    return this.#queue.images;
  }

  /**
   * Does the jobs, which are let in together or not at all.
   * @throws PerennialError overloaded when they would wait too long, deadline_exceeded when they have, no_model after
   * close, or what a job fails with
   */
  async run(jobs: readonly Job[], { lane = 'interactive', deadlineAt = Infinity }: RunOptions = {}): Promise<Answer[]> {
    this.admit(
      jobs.reduce((sum, job) => sum + imagesIn(job), 0),
      { lane, deadlineAt },
    );
    const acceptedAt = performance.now();
    const { request, answers } = requestFor(jobs, { lane, deadlineAt, acceptedAt });
    this.#queue.add(request);
    this.#dispatch();
    const stopWatch = this.#watchDeadline(request);
    try {
      return await Promise.all(answers);
    } finally {
      stopWatch();
      // When one failed, nobody wants the others any more.
      this.#queue.drop(request);
    }
  }

  /** Throws what `run` would throw at once for so many images, and does nothing else. */
  admit(images: number, { lane = 'interactive', deadlineAt = Infinity }: RunOptions = {}): void {
    if (this.#closing !== null) {
      throw new PerennialError('no_model', 'This model is being put away. Send the request again.');
    }
    const load = {
      lane,
      images,
      deadlineAt,
      waiting: this.#queue.imagesIn(lane),
      beforeFirst: this.#queue.imagesBefore(lane, 1),
      beforeLast: this.#queue.imagesBefore(lane, images),
      working: this.#workload.images,
      threads: Math.max(1, this.#crew.alive),
      free: this.#idle.size > 0 && this.#mayTake(lane),
      usableShare: this.#margin.share,
      imageMs: this.#workload.imageMs,
    };
    const refusal = refusalOf(load, this.#options, performance.now());
    if (refusal !== null) throw refusal;
  }

  /** Takes no more jobs, does those it has, then ends the threads. */
  close(): Promise<void> {
    this.#closing ??= this.#drainAndStop();
    return this.#closing;
  }

  /** Tells whoever waits at the deadline, also when no thread comes free until then, or when one is lost meanwhile. */
  #watchDeadline(request: JobRequest): () => void {
    if (request.deadlineAt === Infinity) return () => undefined;
    const leftMs = Math.min(Math.ceil(request.deadlineAt - performance.now()), longestTimerMs);
    const timer = setTimeout(() => {
      for (const ticket of this.#queue.drop(request)) ticket.reject(deadlineExceeded());
      this.#dispatch();
    }, leftMs);
    return () => clearTimeout(timer);
  }

  #dispatch(): void {
    for (const thread of this.#idle) {
      const tickets = this.#takeFor(thread);
      if (tickets === null) break;
      this.#idle.delete(thread);
      void this.#work(thread, tickets);
    }
    if (this.#queue.images === 0 && this.#workload.isIdle) this.#onDrained?.();
  }

  #takeFor(thread: Thread): Ticket[] | null {
    const first = this.#takeInTime('interactive');
    if (first?.job.kind === 'image') return this.#fill(first, thread);
    const ticket = first ?? (this.#mayTake('background') ? this.#takeInTime('background') : null);
    return ticket === null ? null : [ticket];
  }

  /** Whether a free thread may work for a lane: one must be left for those who do not want to wait. */
  #mayTake(lane: Lane): boolean {
    return lane === 'interactive' || this.#workload.threadsFor('background') < Math.max(1, this.#crew.alive - 1);
  }

  #takeInTime(lane: Lane, passes?: (ticket: Ticket) => boolean): Ticket | null {
    for (;;) {
      const ticket = this.#queue.take(lane, passes);
      if (ticket === null || ticket.request.deadlineAt > performance.now()) return ticket;
      ticket.reject(deadlineExceeded());
    }
  }

  /** Single images beside the first, as many as a thread does faster at once than one by one. */
  #fill(first: Ticket, thread: Thread): Ticket[] {
    const { latencyTargetMs } = this.#options;
    const { imageMs } = this.#workload;
    const waitedMs = performance.now() - first.request.acceptedAt;
    // What a thread may have died of has its next thread for itself.
    const batchSize = first.lostThreads > 0 ? 1 : thread.pace.batchSize;
    const limit = batchLimit({ batchSize, latencyTargetMs, waitedMs, imageMs });
    const tickets = [first];
    while (tickets.length < limit.images) {
      const next = this.#takeInTime('interactive', ({ job, lostThreads }) => job.kind === 'image' && lostThreads === 0);
      if (next === null) break;
      tickets.push(next);
    }
    this.#options.onBatch?.(tickets.length, tickets.length < limit.images ? 'nothing_waits' : limit.reason);
    return tickets;
  }

  async #work(thread: Thread, tickets: readonly Ticket[]): Promise<void> {
    const [first] = tickets;
    const lane = first?.request.lane ?? 'interactive';
    const images = tickets.reduce((sum, ticket) => sum + ticket.images, 0);
    const startedAt = performance.now();
    this.#workload.begin(lane, images);
    const outcome = await thread.run(tickets.map(({ job }) => job)).catch((error: unknown) => notGiven(error, tickets));
    this.#workload.end(lane, images);
    if (outcome.type === 'died') {
      for (const ticket of tickets.toReversed()) this.#tryElsewhere(ticket, outcome.message);
    } else {
      this.#workload.took(performance.now() - startedAt, images);
      this.#idle.add(thread);
      for (const { request } of tickets) this.#noteLatency(request, startedAt);
      tickets.forEach((ticket, at) => settle(ticket, outcome.outcomes[at], startedAt));
    }
    this.#dispatch();
  }

  /** Learns from requests of one job that waited: those of more are long by what they ask for. */
  #noteLatency({ lane, jobs, acceptedAt }: JobRequest, startedAt: number): void {
    const { latencyTargetMs } = this.#options;
    if (latencyTargetMs === 0 || lane !== 'interactive' || jobs > 1 || startedAt - acceptedAt < 1) return;
    this.#margin.note(performance.now() - acceptedAt, latencyTargetMs);
  }

  #tryElsewhere(ticket: Ticket, message: string): void {
    ticket.lostThreads += 1;
    if (ticket.lostThreads <= lostThreadsAllowed) this.#queue.putBack(ticket);
    else ticket.reject(threadLost(message));
  }

  /** No thread is left and none will start: whoever waits is told, so that closing comes to an end. */
  #giveUp(): void {
    for (const ticket of this.#queue.clear()) ticket.reject(threadLost('no inference thread can be started'));
    this.#dispatch();
  }

  async #drainAndStop(): Promise<void> {
    const isDrained = this.#queue.images === 0 && this.#workload.isIdle;
    if (!isDrained) await new Promise<void>((resolve) => (this.#onDrained = resolve));
    await this.#crew.stop();
  }
}

function settle(ticket: Ticket, outcome: JobOutcome | undefined, startedAt: number): void {
  const queueMs = startedAt - ticket.request.acceptedAt;
  if (outcome?.type === 'answer') ticket.resolve({ ...outcome, queueMs });
  else if (outcome?.type === 'refused') ticket.reject(new PerennialError(outcome.code, outcome.message));
  else ticket.reject(new PerennialError('internal', 'The inference thread gave no valid reply. Send it again.'));
}

/** Jobs that could not even be handed over say nothing against the thread. */
function notGiven(error: unknown, tickets: readonly Ticket[]): Outcome {
  const message = `The job could not be given to a thread (${messageOf(error)}).`;
  return { type: 'done', outcomes: tickets.map(() => ({ type: 'refused', code: 'internal', message })) };
}

function threadLost(message: string): PerennialError {
  return new PerennialError('internal', `The inference thread was lost (${message}). Send the request again.`);
}
