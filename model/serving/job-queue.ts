import type { PerennialError } from '../../contracts/errors.js';
import type { Job, JobOutcome } from './messages.js';

/** Priority of a request. Background work runs when no interactive request waits. */
export type Priority = 'interactive' | 'background';

export type Answer = Extract<JobOutcome, { type: 'answer' }> & { queueMs: number };

/** A job that waits for a thread. */
export interface QueuedJob {
  readonly job: Job;
  readonly images: number;
  readonly request: JobRequest;
  lostThreads: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: PerennialError) => void;
}

/** The jobs of one request. */
export interface JobRequest {
  readonly priority: Priority;
  readonly acceptedAt: number;
  /** Start of its latency. */
  readonly receivedAt: number;
  /** Time after which its answer is useless. */
  readonly deadlineAt: number;
  /** Number of its jobs at the start. */
  readonly jobs: number;
  /** Jobs not dispatched yet, in their order. */
  readonly waiting: QueuedJob[];
}

/**
 * Waiting jobs by priority. Within a priority requests are served round-robin, one job each: a request for one image
 * does not wait for all images of a request for a thousand. The jobs of a request keep their order.
 */
export class JobQueue {
  readonly #requests: Record<Priority, JobRequest[]> = { interactive: [], background: [] };
  readonly #images: Record<Priority, number> = { interactive: 0, background: 0 };

  /** Waiting images. */
  get images(): number {
    return this.#images.interactive + this.#images.background;
  }

  imagesIn(priority: Priority): number {
    return this.#images[priority];
  }

  /** Images ahead of the last of `images` images of a new request with this priority. */
  imagesBefore(priority: Priority, images: number): number {
    const before = this.#requests[priority].reduce(
      (sum, request) => sum + Math.min(images, imagesOf(request.waiting)),
      0,
    );
    return priority === 'interactive' ? before : before + this.#images.interactive;
  }

  /** Adds a request, last of its priority. */
  add(request: JobRequest): void {
    this.#requests[request.priority].push(request);
    this.#images[request.priority] += imagesOf(request.waiting);
  }

  /** Puts a job that was lost with its thread back into the queue, ahead of all later requests of its priority. */
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

  /** Removes and returns the next job, if it satisfies `passes`; otherwise null. */
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

  /** Removes and returns the waiting jobs of a request. */
  drop(request: JobRequest): QueuedJob[] {
    const requests = this.#requests[request.priority];
    const at = requests.indexOf(request);
    if (at !== -1) requests.splice(at, 1);
    const dropped = request.waiting.splice(0);
    this.#images[request.priority] -= imagesOf(dropped);
    return dropped;
  }

  /** Removes and returns all jobs. */
  clear(): QueuedJob[] {
    const { interactive, background } = this.#requests;
    return [...interactive, ...background].flatMap((request) => this.drop(request));
  }
}

/** A request for the queue, and the answers to its jobs in their order. */
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

/** Number of images in a job. */
export function imagesIn(job: Job): number {
  return job.kind === 'pixels' ? job.count : 1;
}

function imagesOf(queuedJobs: readonly QueuedJob[]): number {
  return queuedJobs.reduce((sum, { images }) => sum + images, 0);
}
