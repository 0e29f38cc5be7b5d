import type { PerennialError } from '../../contracts/errors.js';
import { isHuge } from '../images/decoding-work.js';
import type { Job, JobOutcome } from './messages.js';

/** Priority of a request. Background work runs when no interactive request waits. */
export type Priority = 'interactive' | 'background';

/** The queue of a request: that of its priority, or that of huge images, behind which others should not wait. */
export type Lane = Priority | 'huge';

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
  readonly lane: Lane;
  readonly acceptedAt: number;
  /** Time after which its answer is useless. */
  readonly deadlineAt: number;
  /** Jobs not dispatched yet, in their order. */
  readonly waiting: QueuedJob[];
}

/**
 * Waiting jobs by lane. Within a lane requests are served round-robin, one job each: a request for one image
 * does not wait for all images of a request for a thousand. The jobs of a request keep their order.
 */
export class JobQueue {
  readonly #requests: Record<Lane, JobRequest[]> = { interactive: [], huge: [], background: [] };
  readonly #images: Record<Lane, number> = { interactive: 0, huge: 0, background: 0 };

  /** Waiting images. */
  get images(): number {
    return this.#images.interactive + this.#images.huge + this.#images.background;
  }

  imagesIn(lane: Lane): number {
    return this.#images[lane];
  }

  /** When the request was accepted whose job is next in this lane; Infinity if none waits. */
  nextAcceptedAt(lane: Lane): number {
    return this.#requests[lane][0]?.acceptedAt ?? Infinity;
  }

  /** Images ahead of the last of `images` images of a new request in this lane. */
  imagesBefore(lane: Lane, images: number): number {
    const before = this.#requests[lane].reduce((sum, request) => sum + Math.min(images, imagesOf(request.waiting)), 0);
    return lane === 'background' ? before + this.#images.interactive + this.#images.huge : before;
  }

  /** Adds a request, last of its lane. */
  add(request: JobRequest): void {
    this.#requests[request.lane].push(request);
    this.#images[request.lane] += imagesOf(request.waiting);
  }

  /** Puts a job that was lost with its thread back into the queue, ahead of all later requests of its lane. */
  putBack(queuedJob: QueuedJob): void {
    const { request } = queuedJob;
    const requests = this.#requests[request.lane];
    const at = requests.indexOf(request);
    if (at !== -1) requests.splice(at, 1);
    request.waiting.unshift(queuedJob);
    const later = requests.findIndex(({ acceptedAt }) => acceptedAt >= request.acceptedAt);
    requests.splice(later === -1 ? requests.length : later, 0, request);
    this.#images[request.lane] += queuedJob.images;
  }

  /** Removes and returns the next job, if it satisfies `passes`; otherwise null. */
  take(lane: Lane, passes: (queuedJob: QueuedJob) => boolean = () => true): QueuedJob | null {
    const requests = this.#requests[lane];
    const [request] = requests;
    const [queuedJob] = request?.waiting ?? [];
    if (request === undefined || queuedJob === undefined || !passes(queuedJob)) return null;
    request.waiting.shift();
    requests.shift();
    if (request.waiting.length > 0) requests.push(request);
    this.#images[lane] -= queuedJob.images;
    return queuedJob;
  }

  /** Removes and returns the waiting jobs of a request. */
  drop(request: JobRequest): QueuedJob[] {
    const requests = this.#requests[request.lane];
    const at = requests.indexOf(request);
    if (at !== -1) requests.splice(at, 1);
    const dropped = request.waiting.splice(0);
    this.#images[request.lane] -= imagesOf(dropped);
    return dropped;
  }

  /** Removes and returns all jobs. */
  clear(): QueuedJob[] {
    const { interactive, huge, background } = this.#requests;
    return [...interactive, ...huge, ...background].flatMap((request) => this.drop(request));
  }
}

/** A request for the queue, and the answers to its jobs in their order. */
export function requestFor(
  jobs: readonly Job[],
  of: Omit<JobRequest, 'waiting'>,
): { request: JobRequest; answers: Promise<Answer>[] } {
  const request: JobRequest = { ...of, waiting: [] };
  const answers = jobs.map(
    (job) =>
      new Promise<Answer>((resolve, reject) => {
        request.waiting.push({ job, images: imagesIn(job), request, lostThreads: 0, resolve, reject });
      }),
  );
  return { request, answers };
}

/** The lane of jobs: huge images of background work wait with the other background work. */
export function laneOf(jobs: readonly Job[], priority: Priority): Lane {
  if (priority === 'background') return priority;
  return jobs.some(({ kind, bytes }) => (kind === 'image' || kind === 'explain') && isHuge(bytes)) ? 'huge' : priority;
}

/** Number of images in a job. */
export function imagesIn(job: Job): number {
  return job.kind === 'pixels' ? job.count : 1;
}

function imagesOf(queuedJobs: readonly QueuedJob[]): number {
  return queuedJobs.reduce((sum, { images }) => sum + images, 0);
}
