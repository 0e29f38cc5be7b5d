import { deadlineExceeded } from './admission.js';
import { batchLimit, type ReleaseReason } from './batch-limit.js';
import type { JobQueue, Lane, QueuedJob } from './job-queue.js';
import type { Workload } from './workload.js';

export interface JobPickerOptions {
  queue: JobQueue;
  workload: Workload;
  /** Threads that are running. */
  alive: () => number;
  /** The calibrated batch size. */
  batchSize: number;
  latencyTargetMs: number;
  /** Called with the size of each batch and the reason why it was not larger. */
  onBatch?: ((images: number, reason: ReleaseReason) => void) | undefined;
}

/**
 * Picks the next jobs for a thread. Background jobs run when no others wait; with huge images they leave one thread to
 * the others.
 */
export class JobPicker {
  constructor(private readonly options: JobPickerOptions) {}

  /** The next jobs for a free thread; null if none may run there. */
  next(): QueuedJob[] | null {
    for (const lane of this.#lanes()) {
      const first = this.mayTake(lane) ? this.#takeInTime(lane) : null;
      if (first !== null)
        return lane === 'interactive' && first.job.kind === 'image' ? this.#fillBatch(first) : [first];
    }
    return null;
  }

  /** The next jobs for a busy thread. */
  nextForPrefetch(): QueuedJob[] | null {
    // A thread with a background job will be free soon and can then start at once.
    if (this.options.workload.threadsFor('background') > 0) return null;
    // A thread that always prefetched would never be free for a huge image.
    if (this.#lanes()[0] === 'huge' && this.mayTake('huge')) return null;
    const first = this.#takeInTime('interactive', (queuedJob) => this.canPrefetch(queuedJob));
    if (first === null) return null;
    return first.job.kind === 'image' ? this.#fillBatch(first) : [first];
  }

  /**
   * Whether a job may be prefetched, or be followed by a prefetched one: it is interactive, short, and was not lost
   * with a thread.
   */
  canPrefetch({ job, images, request, lostThreads }: QueuedJob): boolean {
    const isShort = (job.kind === 'image' || job.kind === 'pixels') && images <= this.options.batchSize;
    return isShort && request.lane === 'interactive' && lostThreads === 0;
  }

  /**
   * Whether a free thread may take a job of this lane. Background jobs wait until nothing interactive waits, not even as
   * prefetched at a busy thread. Huge images take half of the threads, because each also takes much memory.
   */
  mayTake(lane: Lane): boolean {
    const { workload, alive } = this.options;
    if (lane === 'interactive') return true;
    const huge = workload.threadsFor('huge');
    if (huge + workload.threadsFor('background') >= Math.max(1, alive() - 1)) return false;
    return lane === 'huge' ? huge < Math.max(1, Math.floor(alive() / 2)) : workload.prefetched === 0;
  }

  /** Of huge and other images the one that has waited longer comes first, so that both make progress on one thread. */
  #lanes(): Lane[] {
    const { queue } = this.options;
    const isHugeFirst = queue.nextAcceptedAt('huge') < queue.nextAcceptedAt('interactive');
    return isHugeFirst ? ['huge', 'interactive', 'background'] : ['interactive', 'huge', 'background'];
  }

  #takeInTime(lane: Lane, passes?: (queuedJob: QueuedJob) => boolean): QueuedJob | null {
    for (;;) {
      const queuedJob = this.options.queue.take(lane, passes);
      if (queuedJob === null || queuedJob.request.deadlineAt > performance.now()) return queuedJob;
      queuedJob.reject(deadlineExceeded());
    }
  }

  /** Adds single images to the first one, up to the batch limit. */
  #fillBatch(first: QueuedJob): QueuedJob[] {
    const { latencyTargetMs, workload, onBatch } = this.options;
    const waitedMs = performance.now() - first.request.receivedAt;
    // A job that may have ended a thread runs alone.
    const batchSize = first.lostThreads > 0 ? 1 : this.options.batchSize;
    const limit = batchLimit({ batchSize, latencyTargetMs, waitedMs, imageMs: workload.imageMs });
    const queuedJobs = [first];
    while (queuedJobs.length < limit.images) {
      const next = this.#takeInTime('interactive', ({ job, lostThreads }) => job.kind === 'image' && lostThreads === 0);
      if (next === null) break;
      queuedJobs.push(next);
    }
    onBatch?.(queuedJobs.length, queuedJobs.length < limit.images ? 'nothing_waits' : limit.reason);
    return queuedJobs;
  }
}
