import { deadlineExceeded } from './admission.js';
import type { JobQueue, Lane, QueuedJob } from './job-queue.js';
import type { Workload } from './workload.js';

export interface JobPickerOptions {
  queue: JobQueue;
  workload: Workload;
  /** Threads that are running. */
  alive: () => number;
}

/**
 * Picks the next job for a thread. Background jobs run when no others wait; with huge images they leave one thread to
 * the others.
 */
export class JobPicker {
  constructor(private readonly options: JobPickerOptions) {}

  /** The next job for a free thread; null if none may run there. */
  next(): QueuedJob | null {
    for (const lane of this.#lanes()) {
      const queuedJob = this.mayTake(lane) ? this.#takeInTime(lane) : null;
      if (queuedJob !== null) return queuedJob;
    }
    return null;
  }

  /** The next job for a busy thread. */
  nextAhead(): QueuedJob | null {
    // A thread with a background job will be free soon and can then start at once.
    if (this.options.workload.threadsFor('background') > 0) return null;
    // A thread that always had a job ahead would never be free for a huge image.
    if (this.#lanes()[0] === 'huge' && this.mayTake('huge')) return null;
    return this.#takeInTime('interactive', allowsAhead);
  }

  /**
   * Whether a free thread may take a job of this lane. Background jobs wait until nothing interactive waits, not even
   * ahead at a busy thread. Huge images take half of the threads, because each also takes much memory.
   */
  mayTake(lane: Lane): boolean {
    const { workload, alive } = this.options;
    if (lane === 'interactive') return true;
    const huge = workload.threadsFor('huge');
    if (huge + workload.threadsFor('background') >= Math.max(1, alive() - 1)) return false;
    return lane === 'huge' ? huge < Math.max(1, Math.floor(alive() / 2)) : workload.ahead === 0;
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
}

/** Whether a job may wait at a busy thread, or have one wait behind it: an interactive image that was not lost with a thread. */
export function allowsAhead({ job, images, request, lostThreads }: QueuedJob): boolean {
  const isOneImage = (job.kind === 'image' || job.kind === 'pixels') && images === 1;
  return isOneImage && request.lane === 'interactive' && lostThreads === 0;
}
