import type { JobRequest, Priority, QueuedJob } from './job-queue.js';
import type { Thread } from './thread.js';

/** What the latest batch counts for in the moving mean of an image's time. */
const latestShare = 0.1;

/** Jobs that are given to a thread at once. */
export interface Batch {
  readonly queuedJobs: readonly QueuedJob[];
  readonly priority: Priority;
  readonly images: number;
  /** Whether another may be given to the thread while this one is in work. */
  readonly allowsPrefetch: boolean;
  readonly dispatchedAt: number;
}

interface Dispatched {
  /** What the thread has, in the order in which it works on it. */
  readonly batches: Batch[];
  freeSince: number;
}

/** What threads have in hand, and how long they take for an image. */
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

  /** Threads with nothing to do, first the one that has been free for longest. */
  get free(): Thread[] {
    const free = [...this.#dispatched].filter(([, { batches }]) => batches.length === 0);
    return free.sort(([, one], [, other]) => one.freeSince - other.freeSince).map(([thread]) => thread);
  }

  /**
   * The thread that has least to do, and of several the one that is at it for longest, of those that may get another
   * batch while they work; null when each has `most`.
   */
  threadToPrefetch(maxBatches: number): Thread | null {
    const candidates = [...this.#dispatched].filter(
      ([, { batches }]) =>
        batches.length > 0 && batches.length < maxBatches && batches.every(({ allowsPrefetch }) => allowsPrefetch),
    );
    candidates.sort(([, a], [, b]) => a.batches.length - b.batches.length || a.freeSince - b.freeSince);
    return candidates[0]?.[0] ?? null;
  }

  /** Images that threads work on. */
  get working(): number {
    return this.#sum(({ batches: [first] }) => first?.images ?? 0);
  }

  /** Images that threads have besides, to go on with. */
  get prefetched(): number {
    return this.#sum(({ batches }) => imagesOf(batches.slice(1)));
  }

  /** What threads have besides of a request. */
  prefetchedOf(request: JobRequest): QueuedJob[] {
    const prefetched = [...this.#dispatched.values()].flatMap(({ batches }) => batches.slice(1));
    return prefetched.flatMap(({ queuedJobs }) => queuedJobs.filter((queuedJob) => queuedJob.request === request));
  }

  /** Moving mean of the time a thread works for an image that somebody waits for; null before the first. */
  get imageMs(): number | null {
    return this.#imageMs;
  }

  /** Threads at work for a priority. */
  threadsFor(priority: Priority): number {
    return this.#sum(({ batches: [first] }) => (first?.priority === priority ? 1 : 0));
  }

  /** Whether nothing is in hand, of threads that are gone either. */
  get isIdle(): boolean {
    return this.#batches === 0;
  }

  begin(thread: Thread, batch: Batch): void {
    this.#dispatched.get(thread)?.batches.push(batch);
    this.#batches += 1;
  }

  /** Takes a batch out of dispatched. Gives the moment from which the thread worked on it. */
  end(thread: Thread, batch: Batch, now: number): number {
    this.#batches -= 1;
    const dispatched = this.#dispatched.get(thread);
    if (dispatched === undefined) return batch.dispatchedAt;
    dispatched.batches.splice(dispatched.batches.indexOf(batch), 1);
    const startedAt = Math.max(batch.dispatchedAt, dispatched.freeSince);
    dispatched.freeSince = now;
    // Work that has time is of another kind; what it takes says nothing of those who wait.
    if (batch.priority === 'interactive') this.#note((now - startedAt) / batch.images);
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
