import type { JobRequest, Lane, QueuedJob } from './job-queue.js';
import type { Thread } from './thread.js';

/** Weight of the latest batch in the moving average of the time per image. */
const latestShare = 0.1;

/** Jobs dispatched to a thread together. */
export interface Batch {
  readonly queuedJobs: readonly QueuedJob[];
  readonly lane: Lane;
  readonly images: number;
  /** Whether the thread may prefetch another batch while this one is in progress. */
  readonly allowsPrefetch: boolean;
  readonly dispatchedAt: number;
}

interface Dispatched {
  /** In the order in which the thread runs them: the first is in progress. */
  readonly batches: Batch[];
  freeSince: number;
}

/** The batches that threads have, and the time they take per image. */
export class Workload {
  readonly #dispatched = new Map<Thread, Dispatched>();
  #batches = 0;
  #imageMs: number | null = null;

  addThread(thread: Thread): void {
    this.#dispatched.set(thread, { batches: [], freeSince: 0 });
  }

  removeThread(thread: Thread): void {
    this.#dispatched.delete(thread);
  }

  /** Free threads, the one that has been free for longest first. */
  get free(): Thread[] {
    const free = [...this.#dispatched].filter(([, { batches }]) => batches.length === 0);
    return free.sort(([, one], [, other]) => one.freeSince - other.freeSince).map(([thread]) => thread);
  }

  /**
   * The busy thread that should prefetch the next batch: the one with the fewest batches, of several the one that has
   * worked on its batch for longest. Null when each has `maxBatches` or may not prefetch.
   */
  threadToPrefetch(maxBatches: number): Thread | null {
    const candidates = [...this.#dispatched].filter(
      ([, { batches }]) =>
        batches.length > 0 && batches.length < maxBatches && batches.every(({ allowsPrefetch }) => allowsPrefetch),
    );
    candidates.sort(([, a], [, b]) => a.batches.length - b.batches.length || a.freeSince - b.freeSince);
    return candidates[0]?.[0] ?? null;
  }

  /** Images in progress. */
  get working(): number {
    return this.#sum(({ batches: [first] }) => first?.images ?? 0);
  }

  /** Images that threads have prefetched. */
  get prefetched(): number {
    return this.#sum(({ batches }) => imagesOf(batches.slice(1)));
  }

  /** Prefetched jobs of a request. */
  prefetchedOf(request: JobRequest): QueuedJob[] {
    const prefetched = [...this.#dispatched.values()].flatMap(({ batches }) => batches.slice(1));
    return prefetched.flatMap(({ queuedJobs }) => queuedJobs.filter((queuedJob) => queuedJob.request === request));
  }

  /** Moving average of a thread's time per interactive image; null before the first. */
  get imageMs(): number | null {
    return this.#imageMs;
  }

  /** Threads that run a job of this lane. */
  threadsFor(lane: Lane): number {
    return this.#sum(({ batches: [first] }) => (first?.lane === lane ? 1 : 0));
  }

  /** Whether no batch is dispatched, not even to a thread that has ended. */
  get isIdle(): boolean {
    return this.#batches === 0;
  }

  begin(thread: Thread, batch: Batch): void {
    this.#dispatched.get(thread)?.batches.push(batch);
    this.#batches += 1;
  }

  /** Removes a batch that has ended. Returns the time at which the thread started it. */
  end(thread: Thread, batch: Batch, now: number): number {
    this.#batches -= 1;
    const dispatched = this.#dispatched.get(thread);
    if (dispatched === undefined) return batch.dispatchedAt;
    dispatched.batches.splice(dispatched.batches.indexOf(batch), 1);
    const startedAt = Math.max(batch.dispatchedAt, dispatched.freeSince);
    dispatched.freeSince = now;
    // Background jobs and huge images take other times, so they do not count.
    if (batch.lane === 'interactive') this.#note((now - startedAt) / batch.images);
    return startedAt;
  }

  #note(imageMs: number): void {
    this.#imageMs = this.#imageMs === null ? imageMs : (1 - latestShare) * this.#imageMs + latestShare * imageMs;
  }

  #sum(figure: (dispatched: Dispatched) => number): number {
    let sum = 0;
    for (const dispatched of this.#dispatched.values()) sum += figure(dispatched);
    return sum;
  }
}

function imagesOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, { images }) => sum + images, 0);
}
