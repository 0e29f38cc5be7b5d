import type { JobRequest, Lane, QueuedJob } from './job-queue.js';
import type { Thread } from './thread.js';

/** Weight of the latest job in the moving average of the time per image. */
const latestShare = 0.1;

interface Dispatched {
  /** In the order in which the thread runs them: the first is in progress, a second one is ahead. */
  readonly jobs: QueuedJob[];
  /** Since when the first is in progress. */
  since: number;
}

/** The jobs that threads have, and the time they take per image. */
export class Workload {
  readonly #dispatched = new Map<Thread, Dispatched>();
  #jobs = 0;
  #imageMs: number | null = null;

  addThread(thread: Thread): void {
    this.#dispatched.set(thread, { jobs: [], since: 0 });
  }

  removeThread(thread: Thread): void {
    this.#dispatched.delete(thread);
  }

  /** Free threads, the one that can use most cores first. */
  get free(): Thread[] {
    const free: Thread[] = [];
    for (const [thread, { jobs }] of this.#dispatched) if (jobs.length === 0) free.push(thread);
    return free.length > 1 ? free.sort((one, other) => other.cores - one.cores) : free;
  }

  /**
   * The busy thread that should get the next job ahead: of those with one job the one that has worked on it for longest.
   * Null when each has two, or a job that `passes` does not accept.
   */
  threadForAhead(passes: (queuedJob: QueuedJob) => boolean): Thread | null {
    let [found, longestSince]: [Thread | null, number] = [null, Infinity];
    for (const [thread, { jobs, since }] of this.#dispatched) {
      const [first] = jobs;
      if (first === undefined || jobs.length > 1 || since >= longestSince || !passes(first)) continue;
      [found, longestSince] = [thread, since];
    }
    return found;
  }

  /** Images in progress. */
  get working(): number {
    return this.#sum(({ jobs: [first] }) => first?.images ?? 0);
  }

  /** Images that threads have ahead. */
  get ahead(): number {
    return this.#sum(({ jobs: [, second] }) => second?.images ?? 0);
  }

  /** Jobs of a request that threads have ahead. */
  aheadOf(request: JobRequest): QueuedJob[] {
    const ahead = [...this.#dispatched.values()].flatMap(({ jobs }) => jobs.slice(1));
    return ahead.filter((queuedJob) => queuedJob.request === request);
  }

  /** Moving average of a thread's time per interactive image; null before the first. */
  get imageMs(): number | null {
    return this.#imageMs;
  }

  /** Threads that run a job of this lane. */
  threadsFor(lane: Lane): number {
    return this.#sum(({ jobs: [first] }) => (first?.request.lane === lane ? 1 : 0));
  }

  /** Whether no job is dispatched, not even to a thread that has ended. */
  get isIdle(): boolean {
    return this.#jobs === 0;
  }

  begin(thread: Thread, queuedJob: QueuedJob): void {
    this.#jobs += 1;
    const dispatched = this.#dispatched.get(thread);
    if (dispatched?.jobs.push(queuedJob) === 1) dispatched.since = performance.now();
  }

  /** Removes a job that has ended. */
  end(thread: Thread, queuedJob: QueuedJob): void {
    this.#jobs -= 1;
    const dispatched = this.#dispatched.get(thread);
    if (dispatched === undefined) return;
    dispatched.jobs.splice(dispatched.jobs.indexOf(queuedJob), 1);
    dispatched.since = performance.now();
  }

  /**
   * Records how long a thread was busy with a job, as the thread measured it: the time that its answer waited for the
   * event loop is no time of the thread. Background jobs and huge images take other times, so they do not count.
   */
  note({ images, request }: QueuedJob, busyMs: number): void {
    if (request.lane !== 'interactive') return;
    const imageMs = busyMs / images;
    this.#imageMs = this.#imageMs === null ? imageMs : (1 - latestShare) * this.#imageMs + latestShare * imageMs;
  }

  #sum(figure: (dispatched: Dispatched) => number): number {
    let sum = 0;
    for (const dispatched of this.#dispatched.values()) sum += figure(dispatched);
    return sum;
  }
}
