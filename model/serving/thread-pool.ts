import { PerennialError } from '../../contracts/errors.js';
import { deadlineExceeded, refusalOf, type AdmissionOptions } from './admission.js';
import { allowsAhead, JobPicker } from './job-picker.js';
import {
  imagesIn,
  JobQueue,
  laneOf,
  requestFor,
  type Answer,
  type JobRequest,
  type Lane,
  type Priority,
  type QueuedJob,
} from './job-queue.js';
import { dispatchFailed, settle, threadLost } from './job-outcomes.js';
import type { Job } from './messages.js';
import { ThreadSupervisor } from './thread-supervisor.js';
import type { Thread } from './thread.js';
import { Workload } from './workload.js';

export interface ThreadPoolOptions extends AdmissionOptions {
  threads: number;
  start: () => Promise<Thread>;
  /** Called for every thread that ended unexpectedly. */
  onDeath: (message: string) => void;
  /** Whether a busy thread gets its next image ahead; true by default. */
  ahead?: boolean | undefined;
}

export interface RunOptions {
  /** `interactive` by default. */
  priority?: Priority | undefined;
  /** Time after which the answer is useless, on the clock of `performance.now()`. */
  deadlineAt?: number | undefined;
  /** Start of the latency that the latency target applies to; by default the time of the call. */
  receivedAt?: number | undefined;
}

interface Admitted {
  lane: Lane;
  deadlineAt: number;
  receivedAt?: number | undefined;
}

/** A job that ended two threads is not tried on a third. */
const lostThreadsAllowed = 1;
/** The longest delay of setTimeout. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Threads that share one queue. A free thread takes the next job. When none is free, a busy thread gets one image ahead,
 * which it finds when it has answered: it need not wait for this event loop. Background jobs run when no others wait, and
 * one thread is kept free of them and of huge images. A thread that ended is replaced and its jobs are tried on another.
 */
export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #queue = new JobQueue();
  readonly #workload = new Workload();
  readonly #picker: JobPicker;
  readonly #supervisor: ThreadSupervisor;
  #closing: Promise<void> | null = null;
  #onDrained: (() => void) | null = null;

  private constructor(options: ThreadPoolOptions) {
    this.#options = options;
    const [queue, workload] = [this.#queue, this.#workload];
    this.#picker = new JobPicker({ queue, workload, alive: () => this.#supervisor.alive });
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
    return this.#queue.images + this.#workload.ahead;
  }

  /**
   * Runs the jobs, which are admitted together or not at all.
   * @throws PerennialError overloaded when they would wait too long, deadline_exceeded when they have, no_model after
   * close, or what a job fails with
   */
  async run(jobs: readonly Job[], options: RunOptions = {}): Promise<Answer[]> {
    const acceptedAt = performance.now();
    const { priority = 'interactive', deadlineAt = Infinity } = options;
    // Without `receivedAt`: the time until now is spent, and a refusal would not save it.
    const lane = laneOf(jobs, priority);
    this.#admit(
      jobs.reduce((sum, job) => sum + imagesIn(job), 0),
      { lane, deadlineAt },
    );
    const { request, answers } = requestFor(jobs, { priority, lane, deadlineAt, acceptedAt });
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
    this.#admit(images, { lane: priority, deadlineAt, receivedAt });
  }

  #admit(images: number, { lane, deadlineAt, receivedAt }: Admitted): void {
    if (this.#closing !== null) {
      throw new PerennialError('no_model', 'This model is being unloaded. Send the request again.');
    }
    const now = performance.now();
    const { ahead } = this.#workload;
    const load = {
      lane,
      images,
      deadlineAt,
      waiting: this.#queue.imagesIn(lane) + (lane === 'interactive' ? ahead : 0),
      beforeFirst: ahead + this.#queue.imagesBefore(lane, 1),
      beforeLast: ahead + this.#queue.imagesBefore(lane, images),
      working: this.#workload.working,
      threads: Math.max(1, this.#supervisor.alive - this.#workload.threadsFor('huge')),
      free: this.#workload.free.length > 0 && this.#picker.mayTake(lane),
      // The average does not apply to huge images.
      imageMs: lane === 'huge' ? null : this.#workload.imageMs,
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
   * Rejects the jobs of a request at its deadline, even if no thread is free until then or a thread is lost. A job that
   * a thread has ahead cannot be withdrawn, but its caller need not wait for it.
   */
  #watchDeadline(request: JobRequest): () => void {
    if (request.deadlineAt === Infinity) return () => undefined;
    const leftMs = Math.min(Math.ceil(request.deadlineAt - performance.now()), longestTimerMs);
    const timer = setTimeout(() => {
      const unbegun = [...this.#queue.drop(request), ...this.#workload.aheadOf(request)];
      for (const queuedJob of unbegun) queuedJob.reject(deadlineExceeded());
      this.#dispatch();
    }, leftMs);
    return () => clearTimeout(timer);
  }

  #dispatch(): void {
    for (const thread of this.#workload.free) {
      const queuedJob = this.#picker.next();
      if (queuedJob === null) break;
      void this.#work(thread, queuedJob);
    }
    while (this.#options.ahead ?? true) {
      const thread = this.#workload.threadForAhead(allowsAhead);
      const queuedJob = thread === null ? null : this.#picker.nextAhead();
      if (thread === null || queuedJob === null) break;
      void this.#work(thread, queuedJob);
    }
    if (this.#queue.images === 0 && this.#workload.isIdle) this.#onDrained?.();
  }

  async #work(thread: Thread, queuedJob: QueuedJob): Promise<void> {
    const isAlone = this.#workload.isIdle && this.#queue.images === 0;
    this.#workload.begin(thread, queuedJob);
    const outcome = await thread.run(queuedJob.job, isAlone).catch(dispatchFailed);
    this.#workload.end(thread, queuedJob);
    if (outcome.type === 'died') {
      this.#retryOrFail(queuedJob, outcome.message);
    } else {
      const busyMs = settle(queuedJob, outcome.outcome);
      if (busyMs !== null) this.#workload.note(queuedJob, busyMs);
    }
    this.#dispatch();
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
