import { PerennialError } from '../../contracts/errors.js';
import type { Lane } from './job-queue.js';

/** State of the pool when a request arrives. */
export interface Load {
  lane: Lane;
  /** Images of the request. */
  images: number;
  deadlineAt: number;
  /** Images that already wait in its lane. */
  waiting: number;
  /** Images ahead of the first image of the request, and ahead of its last. */
  beforeFirst: number;
  beforeLast: number;
  /** Images in progress. */
  working: number;
  threads: number;
  /** Whether a thread is free for it at once. */
  free: boolean;
  /** Moving average of a thread's time per image; null before the first. */
  imageMs: number | null;
  /** Time that the request waited before, such as for its turn to be parsed. */
  elapsedMs: number;
}

export interface AdmissionOptions {
  /** Images that may wait per lane, of huge ones `mostHugeWaiting`; a larger request is accepted only when nothing waits. */
  queueLimit: number;
  /** Requests that would wait longer for their first image are refused; 0 for no target. */
  latencyTargetMs: number;
}

/**
 * Share of the latency target that the expected latency may use. The rest is for what varies: threads that the machine
 * interrupts, and the way from and to the client.
 */
const usableShare = 0.75;
/** Huge images that may wait: each takes a thread for up to seconds. */
const mostHugeWaiting = 4;

/** Why a request was shed under load. */
export const shedReasons = ['queue_full', 'latency_target', 'deadline'] as const;
export type ShedReason = (typeof shedReasons)[number];

/**
 * Refuses a request that would wait too long or miss its deadline. An idle engine accepts every request before its
 * deadline.
 */
export function refusalOf(load: Load, options: AdmissionOptions, now: number): PerennialError | null {
  if (load.deadlineAt <= now) return deadlineExceeded();
  const queueLimit = load.lane === 'huge' ? Math.min(mostHugeWaiting, options.queueLimit) : options.queueLimit;
  if (load.waiting > 0 && load.waiting + load.images > queueLimit) {
    return overloaded(
      'queue_full',
      `The queue is full: ${load.waiting} ${load.lane === 'huge' ? 'huge ' : ''}images are waiting, at most ${queueLimit} may.`,
      waitMs(load, load.beforeLast + load.images),
    );
  }
  const { latencyTargetMs } = options;
  const latencyMs = load.elapsedMs + answerMs(load, load.beforeFirst);
  if (load.lane === 'interactive' && latencyTargetMs > 0 && latencyMs > usableShare * latencyTargetMs) {
    return overloaded(
      'latency_target',
      `The answer would take about ${Math.ceil(latencyMs)} ms, too much for the latency target of ${latencyTargetMs} ms.`,
      latencyMs,
    );
  }
  const lastMs = answerMs(load, load.beforeLast + load.images - 1);
  if (now + lastMs > load.deadlineAt) {
    const leftMs = Math.ceil(load.deadlineAt - now);
    const sentence = `The answer would take about ${Math.ceil(lastMs)} ms, but the deadline of the request is in ${leftMs} ms.`;
    return overloaded('deadline', sentence, lastMs);
  }
  return null;
}

/** Error of a request whose deadline passed before a thread was free. */
export function deadlineExceeded(): PerennialError {
  return new PerennialError(
    'deadline_exceeded',
    'The deadline of the request passed before a thread was free for it. Allow more time, or send it again later.',
  );
}

/** Expected time until the answer of a job behind `images` images; 0 when a thread is free or no time is known yet. */
function answerMs(load: Load, images: number): number {
  return load.free || load.imageMs === null ? 0 : waitMs(load, images) + load.imageMs;
}

/** Expected time until the threads have finished `images` images and half of those in progress. */
function waitMs({ working, threads, imageMs }: Load, images: number): number {
  return ((images + working / 2) * (imageMs ?? 0)) / threads;
}

function overloaded(reason: ShedReason, sentence: string, retryAfterMs: number): PerennialError {
  return new PerennialError('overloaded', `${sentence} Send the request again later.`, {
    details: { reason, retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) },
  });
}

/** The reason with which the engine refused a request as `overloaded`. */
export function shedReasonOf(error: unknown): ShedReason {
  const reason = error instanceof PerennialError ? error.details.reason : undefined;
  return shedReasons.find((one) => one === reason) ?? 'queue_full';
}
