import type { PerennialError } from '../../contracts/errors.js';
import type { Job, JobOutcome } from './messages.js';

/** Who waits for an answer: people and programs, or work that has time. Background work is done when nobody else waits. */
export type Lane = 'interactive' | 'background';

export type Answer = Extract<JobOutcome, { type: 'answer' }> & { queueMs: number };

/** One job on its way to a thread. */
export interface Ticket {
  readonly job: Job;
  readonly images: number;
  readonly request: JobRequest;
  lostThreads: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: PerennialError) => void;
}

/** Jobs that were asked for together. */
export interface JobRequest {
  readonly lane: Lane;
  readonly acceptedAt: number;
  /** The moment from which its latency counts. */
  readonly receivedAt: number;
  /** The moment from which its answer is of no use any more. */
  readonly deadlineAt: number;
  /** Jobs it began with. */
  readonly jobs: number;
  /** Jobs that no thread has taken yet, in their order. */
  readonly waiting: Ticket[];
}

/**
 * Jobs that wait, in two lanes. Within a lane requests take turns of one job each: whoever asks for one image does not
 * wait for all images of somebody who asks for a thousand, and every request's own jobs keep their order.
 */
export class JobQueue {
  readonly #lanes: Record<Lane, JobRequest[]> = { interactive: [], background: [] };
  readonly #images: Record<Lane, number> = { interactive: 0, background: 0 };

  /** Images that wait. */
  get images(): number {
    return this.#images.interactive + this.#images.background;
  }

  imagesIn(lane: Lane): number {
    return this.#images[lane];
  }

  /** Images whose turn comes before the last of `images` of a new request in this lane. */
  imagesBefore(lane: Lane, images: number): number {
    const before = this.#lanes[lane].reduce((sum, request) => sum + Math.min(images, imagesOf(request.waiting)), 0);
    return lane === 'interactive' ? before : before + this.#images.interactive;
  }

  /** Lets a request in, last of its lane. */
  add(request: JobRequest): void {
    this.#lanes[request.lane].push(request);
    this.#images[request.lane] += imagesOf(request.waiting);
  }

  /** Lets a job that a thread has lost in again, before all in its lane that came later. */
  putBack(ticket: Ticket): void {
    const { request } = ticket;
    const lane = this.#lanes[request.lane];
    const at = lane.indexOf(request);
    if (at !== -1) lane.splice(at, 1);
    request.waiting.unshift(ticket);
    const later = lane.findIndex(({ acceptedAt }) => acceptedAt >= request.acceptedAt);
    lane.splice(later === -1 ? lane.length : later, 0, request);
    this.#images[request.lane] += ticket.images;
  }

  /** The job whose turn it is, if it passes. */
  take(lane: Lane, passes: (ticket: Ticket) => boolean = () => true): Ticket | null {
    const requests = this.#lanes[lane];
    const [request] = requests;
    const [ticket] = request?.waiting ?? [];
    if (request === undefined || ticket === undefined || !passes(ticket)) return null;
    request.waiting.shift();
    requests.shift();
    if (request.waiting.length > 0) requests.push(request);
    this.#images[lane] -= ticket.images;
    return ticket;
  }

  /** Takes out what still waits of a request. */
  drop(request: JobRequest): Ticket[] {
    const lane = this.#lanes[request.lane];
    const at = lane.indexOf(request);
    if (at !== -1) lane.splice(at, 1);
    const dropped = request.waiting.splice(0);
    this.#images[request.lane] -= imagesOf(dropped);
    return dropped;
  }

  /** Takes out everything. */
  clear(): Ticket[] {
    const { interactive, background } = this.#lanes;
    return [...interactive, ...background].flatMap((request) => this.drop(request));
  }
}

/** A request of jobs that a lane can take in, and the answers to them in their order. */
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

function imagesOf(tickets: readonly Ticket[]): number {
  return tickets.reduce((sum, { images }) => sum + images, 0);
}
