import { PerennialError, messageOf } from '../../contracts/errors.js';
import { deadlineExceeded, refusalOf, type AdmissionOptions } from './admission.js';
import { batchLimit, type ReleaseReason } from './batch-limit.js';
import {
  imagesIn,
  JobQueue,
  requestFor,
  type Answer,
  type JobRequest,
  type Priority,
  type QueuedJob,
} from './job-queue.js';
import { LatencyMargin } from './latency-margin.js';
import type { Job, JobOutcome } from './messages.js';
import { ThreadSupervisor } from './thread-supervisor.js';
import type { Outcome, Thread } from './thread.js';
import { Workload, type Batch } from './workload.js';

export interface ThreadPoolOptions extends AdmissionOptions {
  threads: number;
  /** The calibrated batch size. */
  batchSize: number;
  start: () => Promise<Thread>;
  /** Called for every thread that ended unexpectedly. */
  onDeath: (message: string) => void;
  /** Called with the size of each batch and the reason why it was not larger. */
  onBatch?: ((images: number, reason: ReleaseReason) => void) | undefined;
  /** Batches a thread may prefetch beside the one in progress; 2 by default. */
  prefetch?: number | undefined;
}

export interface RunOptions {
  /** `interactive` by default. */
  priority?: Priority | undefined;
  /** Time after which the answer is useless, on the clock of `performance.now()`. */
  deadlineAt?: number | undefined;
  /** Start of the latency that the latency target applies to; by default the time of the call. */
  receivedAt?: number | undefined;
}

/** A job that ended two threads is not tried on a third. */
const lostThreadsAllowed = 1;
/**
 * While the graph runs, the thread decodes the next batch in parallel. With one prefetched batch a thread would still
 * wait for every other one: it receives messages only between two runs of the graph.
 */
const defaultPrefetch = 2;
/** The longest delay of setTimeout. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Threads that share one queue. A free thread takes the next job; when none is free, busy threads prefetch short
 * interactive jobs. Background jobs run when no others wait, and one thread is kept free of them. A thread that ended
 * is replaced and its jobs are tried on another.
 */
export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #queue = new JobQueue();
  readonly #workload = new Workload();
  readonly #margin = new LatencyMargin();
  readonly #supervisor: ThreadSupervisor;
  #closing: Promise<void> | null = null;
  #onDrained: (() => void) | null = null;

  private constructor(options: ThreadPoolOptions) {
    this.#options = options;
    this.#supervisor = new ThreadSupervisor({
      ...options,
      onStarted: (thread) => {
        this.#workload.addThread(thread);
        this.#dispatch();
      },
      onEnded: (thread) => this.#workload.removeThread(thread),
      onStartFailed: (alive) => {
        if (this.#closing !== null && alive === 0) this.#failWaiting();
      },
    });
  }

  /** Starts all threads; when one fails, the others are closed and its error is thrown. */
  static async create(options: ThreadPoolOptions): Promise<ThreadPool> {
    const pool = new ThreadPool(options);
    await pool.#supervisor.start();
    return pool;
  }

  /** Images not yet in progress. */
  get waiting(): number {
    return this.#queue.images + this.#workload.prefetched;
  }

  /**
   * Runs the jobs, which are admitted together or not at all.
   * @throws PerennialError overloaded when they would wait too long, deadline_exceeded when they have, no_model after
   * close, or what a job fails with
   */
  async run(jobs: readonly Job[], options: RunOptions = {}): Promise<Answer[]> {
    const acceptedAt = performance.now();
    const { priority = 'interactive', deadlineAt = Infinity, receivedAt = acceptedAt } = options;
    // Without `receivedAt`: the time until now is spent, and a refusal would not save it.
    this.admit(
      jobs.reduce((sum, job) => sum + imagesIn(job), 0),
      { priority, deadlineAt },
    );
    const { request, answers } = requestFor(jobs, { priority, deadlineAt, acceptedAt, receivedAt });
    this.#queue.add(request);
    this.#dispatch();
    const stopTimer = this.#watchDeadline(request);
    try {
      return await Promise.all(answers);
    } finally {
      stopTimer();
      // When one failed, the answers of the others are not needed.
      this.#queue.drop(request);
    }
  }

  /** Throws what `run` would throw at once for so many images, and has no other effect. */
  admit(images: number, { priority = 'interactive', deadlineAt = Infinity, receivedAt }: RunOptions = {}): void {
    if (this.#closing !== null) {
      throw new PerennialError('no_model', 'This model is being unloaded. Send the request again.');
    }
    const now = performance.now();
    const { prefetched } = this.#workload;
    const load = {
      priority,
      images,
      deadlineAt,
      waiting: this.#queue.imagesIn(priority) + (priority === 'interactive' ? prefetched : 0),
      beforeFirst: prefetched + this.#queue.imagesBefore(priority, 1),
      beforeLast: prefetched + this.#queue.imagesBefore(priority, images),
      working: this.#workload.working,
      threads: Math.max(1, this.#supervisor.alive),
      free: this.#workload.free.length > 0 && this.#mayTake(priority),
      usableShare: this.#margin.share,
      imageMs: this.#workload.imageMs,
      elapsedMs: now - (receivedAt ?? now),
    };
    const refusal = refusalOf(load, this.#options, now);
    if (refusal !== null) throw refusal;
  }

  /** Stops accepting jobs, finishes those it has, then ends the threads. */
  close(): Promise<void> {
    this.#closing ??= this.#drainAndStop();
    return this.#closing;
  }

  /**
   * Rejects the jobs of a request at its deadline, even if no thread is free until then or a thread is lost. Jobs that
   * a thread has prefetched cannot be withdrawn, but their callers need not wait for them.
   */
  #watchDeadline(request: JobRequest): () => void {
    if (request.deadlineAt === Infinity) return () => undefined;
    const leftMs = Math.min(Math.ceil(request.deadlineAt - performance.now()), longestTimerMs);
    const timer = setTimeout(() => {
      const unbegun = [...this.#queue.drop(request), ...this.#workload.prefetchedOf(request)];
      for (const queuedJob of unbegun) queuedJob.reject(deadlineExceeded());
      this.#dispatch();
    }, leftMs);
    return () => clearTimeout(timer);
  }

  #dispatch(): void {
    for (const thread of this.#workload.free) {
      const queuedJobs = this.#takeNext();
      if (queuedJobs === null) break;
      void this.#work(thread, queuedJobs);
    }
    for (;;) {
      const thread = this.#workload.threadToPrefetch(1 + (this.#options.prefetch ?? defaultPrefetch));
      const queuedJobs = thread === null ? null : this.#takeForPrefetch();
      if (thread === null || queuedJobs === null) break;
      void this.#work(thread, queuedJobs);
    }
    if (this.#queue.images === 0 && this.#workload.isIdle) this.#onDrained?.();
  }

  #takeNext(): QueuedJob[] | null {
    const first = this.#takeInTime('interactive');
    if (first?.job.kind === 'image') return this.#fillBatch(first);
    const queuedJob = first ?? (this.#mayTake('background') ? this.#takeInTime('background') : null);
    return queuedJob === null ? null : [queuedJob];
  }

  #takeForPrefetch(): QueuedJob[] | null {
    // A thread with a background job will be free soon and can then start at once.
    if (this.#workload.threadsFor('background') > 0) return null;
    const first = this.#takeInTime('interactive', (queuedJob) => this.#canPrefetch(queuedJob));
    if (first === null) return null;
    return first.job.kind === 'image' ? this.#fillBatch(first) : [first];
  }

  /**
   * Whether a job may be prefetched, or be followed by a prefetched one: it is interactive, short, and was not lost
   * with a thread.
   */
  #canPrefetch({ job, images, request, lostThreads }: QueuedJob): boolean {
    const isShort = (job.kind === 'image' || job.kind === 'pixels') && images <= this.#options.batchSize;
    return isShort && request.priority === 'interactive' && lostThreads === 0;
  }

  /**
   * Whether a free thread may take a job of this priority. Background jobs wait until nothing interactive waits, not
   * even as prefetched at a busy thread, and leave one thread to interactive jobs.
   */
  #mayTake(priority: Priority): boolean {
    const { prefetched } = this.#workload;
    const inBackground = this.#workload.threadsFor('background');
    return priority === 'interactive' || (prefetched === 0 && inBackground < Math.max(1, this.#supervisor.alive - 1));
  }

  #takeInTime(priority: Priority, passes?: (queuedJob: QueuedJob) => boolean): QueuedJob | null {
    for (;;) {
      const queuedJob = this.#queue.take(priority, passes);
      if (queuedJob === null || queuedJob.request.deadlineAt > performance.now()) return queuedJob;
      queuedJob.reject(deadlineExceeded());
    }
  }

  /** Adds single images to the first one, up to the batch limit. */
  #fillBatch(first: QueuedJob): QueuedJob[] {
    const { latencyTargetMs } = this.#options;
    const { imageMs } = this.#workload;
    const waitedMs = performance.now() - first.request.receivedAt;
    // A job that may have ended a thread runs alone.
    const batchSize = first.lostThreads > 0 ? 1 : this.#options.batchSize;
    const limit = batchLimit({ batchSize, latencyTargetMs, waitedMs, imageMs });
    const queuedJobs = [first];
    while (queuedJobs.length < limit.images) {
      const next = this.#takeInTime('interactive', ({ job, lostThreads }) => job.kind === 'image' && lostThreads === 0);
      if (next === null) break;
      queuedJobs.push(next);
    }
    this.#options.onBatch?.(queuedJobs.length, queuedJobs.length < limit.images ? 'nothing_waits' : limit.reason);
    return queuedJobs;
  }

  async #work(thread: Thread, queuedJobs: readonly QueuedJob[]): Promise<void> {
    const [first] = queuedJobs;
    const batch: Batch = {
      queuedJobs,
      priority: first?.request.priority ?? 'interactive',
      images: queuedJobs.reduce((sum, queuedJob) => sum + queuedJob.images, 0),
      allowsPrefetch: queuedJobs.every((queuedJob) => this.#canPrefetch(queuedJob)),
      dispatchedAt: performance.now(),
    };
    this.#workload.begin(thread, batch);
    const outcome = await thread
      .run(queuedJobs.map(({ job }) => job))
      .catch((error: unknown) => dispatchFailed(error, queuedJobs));
    const startedAt = this.#workload.end(thread, batch, performance.now());
    if (outcome.type === 'died') {
      for (const queuedJob of queuedJobs.toReversed()) this.#retryOrFail(queuedJob, outcome.message);
    } else {
      for (const { request } of queuedJobs) this.#noteLatency(request, startedAt);
      queuedJobs.forEach((queuedJob, at) => settle(queuedJob, outcome.outcomes[at], startedAt));
    }
    this.#dispatch();
  }

  /** Learns from requests of one job that waited: larger requests are slow because of their size. */
  #noteLatency({ priority, jobs, acceptedAt, receivedAt }: JobRequest, startedAt: number): void {
    const { latencyTargetMs } = this.#options;
    if (latencyTargetMs === 0 || priority !== 'interactive' || jobs > 1 || startedAt - acceptedAt < 1) return;
    this.#margin.note(performance.now() - receivedAt, latencyTargetMs);
  }

  #retryOrFail(queuedJob: QueuedJob, message: string): void {
    queuedJob.lostThreads += 1;
    if (queuedJob.request.deadlineAt <= performance.now()) queuedJob.reject(deadlineExceeded());
    else if (queuedJob.lostThreads <= lostThreadsAllowed) this.#queue.putBack(queuedJob);
    else queuedJob.reject(threadLost(message));
  }

  /** No thread is left and none starts: fails the waiting jobs, so that closing completes. */
  #failWaiting(): void {
    for (const queuedJob of this.#queue.clear()) queuedJob.reject(threadLost('no inference thread can be started'));
    this.#dispatch();
  }

  async #drainAndStop(): Promise<void> {
    const isDrained = this.#queue.images === 0 && this.#workload.isIdle;
    if (!isDrained) await new Promise<void>((resolve) => (this.#onDrained = resolve));
    await this.#supervisor.stop();
  }
}

function settle(queuedJob: QueuedJob, outcome: JobOutcome | undefined, startedAt: number): void {
  const queueMs = startedAt - queuedJob.request.acceptedAt;
  if (outcome?.type === 'answer') queuedJob.resolve({ ...outcome, queueMs });
  else if (outcome?.type === 'refused') queuedJob.reject(new PerennialError(outcome.code, outcome.message));
  else
    queuedJob.reject(
      new PerennialError('internal', 'The inference thread gave no valid reply. Send the request again.'),
    );
}

/** Jobs that could not be posted: the fault is not the thread's. */
function dispatchFailed(error: unknown, queuedJobs: readonly QueuedJob[]): Outcome {
  const message = `The job could not be sent to an inference thread (${messageOf(error)}).`;
  return { type: 'done', outcomes: queuedJobs.map(() => ({ type: 'refused', code: 'internal', message })) };
}

function threadLost(message: string): PerennialError {
  return new PerennialError('internal', `The inference thread was lost (${message}). Send the request again.`);
}
