import { PerennialError, messageOf } from '../../contracts/errors.js';
import { deadlineExceeded, refusalOf, type AdmissionOptions } from './admission.js';
import { batchLimit, type ReleaseReason } from './batch-limit.js';
import { imagesIn, JobQueue, requestFor, type Answer, type JobRequest, type Lane, type Ticket } from './job-queue.js';
import { LatencyMargin } from './latency-margin.js';
import type { Job, JobOutcome } from './messages.js';
import { ThreadCrew } from './thread-supervisor.js';
import type { Outcome, Thread } from './thread.js';
import { Workload, type Batch } from './workload.js';

export interface ThreadPoolOptions extends AdmissionOptions {
  threads: number;
  /** Images that the graph gets through fastest at once. */
  batchSize: number;
  start: () => Promise<Thread>;
  /** Told of every thread that ended without being asked to. */
  onDeath: (message: string) => void;
  /** Told how many images a thread is given at once, and why no more. */
  onBatch?: ((images: number, reason: ReleaseReason) => void) | undefined;
  /** Batches a thread may have beside the one it works on; 2 unless given. */
  ahead?: number | undefined;
}

export interface RunOptions {
  /** `interactive` unless given. */
  lane?: Lane | undefined;
  /** The moment, in the time of `performance.now()`, from which the answer is of no use any more. */
  deadlineAt?: number | undefined;
  /** The moment from which the latency counts that has a target: that of the call unless given. */
  receivedAt?: number | undefined;
}

/** A job that two threads died of is not given to a third. */
const lostThreadsAllowed = 1;
/**
 * While the graph has a thread, what comes next is decoded beside it. With one batch ahead a thread would still wait for
 * every other one: it hears of new ones between two runs of the graph only.
 */
const usualAhead = 2;
/** A timer waits no longer. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Threads that take jobs from one queue, each when it is free; when none is, single images that somebody waits for are
 * given to threads ahead of their turn. Background jobs are taken when no others wait, and never by the last thread
 * that is left for those. A dead thread is replaced and its jobs given to another.
 */
export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #queue = new JobQueue();
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
        this.#workload.join(thread);
        this.#dispatch();
      },
      onLeave: (thread) => this.#workload.leave(thread),
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

  /** Images that no thread works on yet. */
  get waiting(): number {
    return this.#queue.images + this.#workload.following;
  }

  /**
   * Does the jobs, which are let in together or not at all.
   * @throws PerennialError overloaded when they would wait too long, deadline_exceeded when they have, no_model after
   * close, or what a job fails with
   */
  async run(jobs: readonly Job[], options: RunOptions = {}): Promise<Answer[]> {
    const acceptedAt = performance.now();
    const { lane = 'interactive', deadlineAt = Infinity, receivedAt = acceptedAt } = options;
    // What has passed is spent: to refuse it now would not spare much any more.
    this.admit(
      jobs.reduce((sum, job) => sum + imagesIn(job), 0),
      { lane, deadlineAt },
    );
    const { request, answers } = requestFor(jobs, { lane, deadlineAt, acceptedAt, receivedAt });
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
  admit(images: number, { lane = 'interactive', deadlineAt = Infinity, receivedAt }: RunOptions = {}): void {
    if (this.#closing !== null) {
      throw new PerennialError('no_model', 'This model is being put away. Send the request again.');
    }
    const now = performance.now();
    const { following } = this.#workload;
    const load = {
      lane,
      images,
      deadlineAt,
      waiting: this.#queue.imagesIn(lane) + (lane === 'interactive' ? following : 0),
      beforeFirst: following + this.#queue.imagesBefore(lane, 1),
      beforeLast: following + this.#queue.imagesBefore(lane, images),
      working: this.#workload.working,
      threads: Math.max(1, this.#crew.alive),
      free: this.#workload.free.length > 0 && this.#mayTake(lane),
      usableShare: this.#margin.share,
      imageMs: this.#workload.imageMs,
      elapsedMs: now - (receivedAt ?? now),
    };
    const refusal = refusalOf(load, this.#options, now);
    if (refusal !== null) throw refusal;
  }

  /** Takes no more jobs, does those it has, then ends the threads. */
  close(): Promise<void> {
    this.#closing ??= this.#drainAndStop();
    return this.#closing;
  }

  /**
   * Tells whoever waits at the deadline, also when no thread comes free until then, or when one is lost meanwhile. What
   * a thread has been given ahead cannot be taken back; nobody has to wait for it.
   */
  #watchDeadline(request: JobRequest): () => void {
    if (request.deadlineAt === Infinity) return () => undefined;
    const leftMs = Math.min(Math.ceil(request.deadlineAt - performance.now()), longestTimerMs);
    const timer = setTimeout(() => {
      const unbegun = [...this.#queue.drop(request), ...this.#workload.followingOf(request)];
      for (const ticket of unbegun) ticket.reject(deadlineExceeded());
      this.#dispatch();
    }, leftMs);
    return () => clearTimeout(timer);
  }

  #dispatch(): void {
    for (const thread of this.#workload.free) {
      const tickets = this.#takeNext();
      if (tickets === null) break;
      void this.#work(thread, tickets);
    }
    for (;;) {
      const thread = this.#workload.followable(1 + (this.#options.ahead ?? usualAhead));
      const tickets = thread === null ? null : this.#takeAhead();
      if (thread === null || tickets === null) break;
      void this.#work(thread, tickets);
    }
    if (this.#queue.images === 0 && this.#workload.isIdle) this.#onDrained?.();
  }

  #takeNext(): Ticket[] | null {
    const first = this.#takeInTime('interactive');
    if (first?.job.kind === 'image') return this.#fill(first);
    const ticket = first ?? (this.#mayTake('background') ? this.#takeInTime('background') : null);
    return ticket === null ? null : [ticket];
  }

  #takeAhead(): Ticket[] | null {
    // A thread that works in the background comes free before long, and then has time at once.
    if (this.#workload.threadsFor('background') > 0) return null;
    const first = this.#takeInTime('interactive', (ticket) => this.#canFollow(ticket));
    if (first === null) return null;
    return first.job.kind === 'image' ? this.#fill(first) : [first];
  }

  /** Whether a thread may have a job before or behind another: one that somebody waits for, short, without a past. */
  #canFollow({ job, images, request, lostThreads }: Ticket): boolean {
    const isShort = (job.kind === 'image' || job.kind === 'pixels') && images <= this.#options.batchSize;
    return isShort && request.lane === 'interactive' && lostThreads === 0;
  }

  /**
   * Whether a free thread may work for a lane. Work that has time is taken when nobody waits, at a busy thread either,
   * and one thread is left for those who do not want to wait.
   */
  #mayTake(lane: Lane): boolean {
    const { following } = this.#workload;
    const inBackground = this.#workload.threadsFor('background');
    return lane === 'interactive' || (following === 0 && inBackground < Math.max(1, this.#crew.alive - 1));
  }

  #takeInTime(lane: Lane, passes?: (ticket: Ticket) => boolean): Ticket | null {
    for (;;) {
      const ticket = this.#queue.take(lane, passes);
      if (ticket === null || ticket.request.deadlineAt > performance.now()) return ticket;
      ticket.reject(deadlineExceeded());
    }
  }

  /** Single images beside the first, as many as a thread does faster at once than one by one. */
  #fill(first: Ticket): Ticket[] {
    const { latencyTargetMs } = this.#options;
    const { imageMs } = this.#workload;
    const waitedMs = performance.now() - first.request.receivedAt;
    // What a thread may have died of has its next thread for itself.
    const batchSize = first.lostThreads > 0 ? 1 : this.#options.batchSize;
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
    const batch: Batch = {
      tickets,
      lane: first?.request.lane ?? 'interactive',
      images: tickets.reduce((sum, ticket) => sum + ticket.images, 0),
      followable: tickets.every((ticket) => this.#canFollow(ticket)),
      givenAt: performance.now(),
    };
    this.#workload.begin(thread, batch);
    const outcome = await thread.run(tickets.map(({ job }) => job)).catch((error: unknown) => notGiven(error, tickets));
    const startedAt = this.#workload.end(thread, batch, performance.now());
    if (outcome.type === 'died') {
      for (const ticket of tickets.toReversed()) this.#tryElsewhere(ticket, outcome.message);
    } else {
      for (const { request } of tickets) this.#noteLatency(request, startedAt);
      tickets.forEach((ticket, at) => settle(ticket, outcome.outcomes[at], startedAt));
    }
    this.#dispatch();
  }

  /** Learns from requests of one job that waited: those of more are long by what they ask for. */
  #noteLatency({ lane, jobs, acceptedAt, receivedAt }: JobRequest, startedAt: number): void {
    const { latencyTargetMs } = this.#options;
    if (latencyTargetMs === 0 || lane !== 'interactive' || jobs > 1 || startedAt - acceptedAt < 1) return;
    this.#margin.note(performance.now() - receivedAt, latencyTargetMs);
  }

  #tryElsewhere(ticket: Ticket, message: string): void {
    ticket.lostThreads += 1;
    if (ticket.request.deadlineAt <= performance.now()) ticket.reject(deadlineExceeded());
    else if (ticket.lostThreads <= lostThreadsAllowed) this.#queue.putBack(ticket);
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
