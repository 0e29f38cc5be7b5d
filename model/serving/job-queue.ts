import type { PerennialError } from '../../contracts/errors.js';
import type { Job, JobOutcome } from './messages.js';

/** Who waits for an answer: people and programs, or work that has time. Background work is done when nobody else waits. */
export type Priority = 'interactive' | 'background';

export type Answer = Extract<JobOutcome, { type: 'answer' }> & { queueMs: number };

/** One job on its way to a thread. */
export interface QueuedJob {
  readonly job: Job;
  readonly images: number;
  readonly request: JobRequest;
  lostThreads: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: PerennialError) => void;
}

/** Jobs that were asked for together. */
export interface JobRequest {
  readonly priority: Priority;
  readonly acceptedAt: number;
  /** The moment from which its latency counts. */
  readonly receivedAt: number;
  /** The moment from which its answer is of no use any more. */
  readonly deadlineAt: number;
  /** Jobs it began with. */
  readonly jobs: number;
  /** Jobs that no thread has taken yet, in their order. */
  readonly waiting: QueuedJob[];
}

/**
 * Jobs that wait, in two priorities. Within a priority requests take turns of one job each: whoever asks for one image does not
 * wait for all images of somebody who asks for a thousand, and every request's own jobs keep their order.
 */
export class JobQueue {
  readonly #requests: Record<Priority, JobRequest[]> = { interactive: [], background: [] };
  readonly #images: Record<Priority, number> = { interactive: 0, background: 0 };

  /** Images that wait. */
  get images(): number {
    return this.#images.interactive + this.#images.background;
  }

  imagesIn(priority: Priority): number {
    return this.#images[priority];
  }

  /** Images whose turn comes before the last of `images` of a new request in this priority. */
  imagesBefore(priority: Priority, images: number): number {
    const before = this.#requests[priority].reduce(
      (sum, request) => sum + Math.min(images, imagesOf(request.waiting)),
      0,
    );
    return priority === 'interactive' ? before : before + this.#images.interactive;
  }

  /** Lets a request in, last of its priority. */
  add(request: JobRequest): void {
    this.#requests[request.priority].push(request);
    this.#images[request.priority] += imagesOf(request.waiting);
  }

  /** Lets a job that a thread has lost in again, before all in its priority that came later. */
  putBack(queuedJob: QueuedJob): void {
    const { request } = queuedJob;
    const requests = this.#requests[request.priority];
    const at = requests.indexOf(request);
    if (at !== -1) requests.splice(at, 1);
    request.waiting.unshift(queuedJob);
    const later = requests.findIndex(({ acceptedAt }) => acceptedAt >= request.acceptedAt);
    requests.splice(later === -1 ? requests.length : later, 0, request);
    this.#images[request.priority] += queuedJob.images;
  }

  /** The job whose turn it is, if it passes. */
  take(priority: Priority, passes: (queuedJob: QueuedJob) => boolean = () => true): QueuedJob | null {
    const requests = this.#requests[priority];
    const [request] = requests;
    const [queuedJob] = request?.waiting ?? [];
    if (request === undefined || queuedJob === undefined || !passes(queuedJob)) return null;
    request.waiting.shift();
    requests.shift();
    if (request.waiting.length > 0) requests.push(request);
    this.#images[priority] -= queuedJob.images;
    return queuedJob;
  }

  /** Takes out what still waits of a request. */
  drop(request: JobRequest): QueuedJob[] {
    const requests = this.#requests[request.priority];
    const at = requests.indexOf(request);
    if (at !== -1) requests.splice(at, 1);
    const dropped = request.waiting.splice(0);
    this.#images[request.priority] -= imagesOf(dropped);
    return dropped;
  }

  /** Takes out everything. */
  clear(): QueuedJob[] {
    const { interactive, background } = this.#requests;
    return [...interactive, ...background].flatMap((request) => this.drop(request));
  }
}

/** A request of jobs that a priority can take in, and the answers to them in their order. */
export function requestFor(
  jobs: readonly Job[],
  of: Omit<JobRequest, 'jobs' | 'waiting'>,
): { request: JobRequest; answers: Promise<Answer>[] } {
  const request: JobRequest = { ...of, jobs: jobs.length, waiting: [] };
  const answers = jobs.map(
    (job) =>
      new Promise<Answer>((resolve, reject) => {
        request.waiting.push({ job, images: imagesIn(job), request, lostThreads: 0, resolve, reject });
      }),
  );
  return { request, answers };
}

/** Images that a job keeps a thread busy for. */
export function imagesIn(job: Job): number {
  return job.kind === 'pixels' ? job.count : 1;
}

function imagesOf(queuedJobs: readonly QueuedJob[]): number {
  return queuedJobs.reduce((sum, { images }) => sum + images, 0);
}
