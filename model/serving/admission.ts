import { PerennialError } from '../../contracts/errors.js';
import type { Priority } from './job-queue.js';

/** What there is to do when a request comes. */
export interface Load {
  priority: Priority;
  /** Images the request asks for. */
  images: number;
  deadlineAt: number;
  /** Images that wait in its priority already. */
  waiting: number;
  /** Those that come before the first image of the request, and before its last. */
  beforeFirst: number;
  beforeLast: number;
  /** Images in work at this moment. */
  working: number;
  threads: number;
  /** Whether a thread is free for it at once. */
  free: boolean;
  /** Share of the latency target that the expected time may fill. */
  usableShare: number;
  /** Moving mean of the time a thread takes for an image; null before the first. */
  imageMs: number | null;
  /** What of its latency has passed already. */
  elapsedMs: number;
}

export interface AdmissionOptions {
  /** Images that may wait in a priority; a request that asks for more is let in when nothing waits. */
  queueLimit: number;
  /** Requests that would wait longer for their first image are refused; 0 for no such target. */
  latencyTargetMs: number;
}

/** Why a request is refused that could be served if there were less to do. */
export const shedReasons = ['queue_full', 'latency_target', 'deadline'] as const;
export type ShedReason = (typeof shedReasons)[number];

/** Refuses a request that would wait too long or in vain. An idle engine takes whatever comes in time. */
export function refusalOf(load: Load, options: AdmissionOptions, now: number): PerennialError | null {
  if (load.deadlineAt <= now) return deadlineExceeded();
  if (load.waiting > 0 && load.waiting + load.images > options.queueLimit) {
    return overloaded(
      'queue_full',
      `${load.waiting} images are waiting already, and no more than ${options.queueLimit} are let in.`,
      waitMs(load, load.beforeLast + load.images),
    );
  }
  const { latencyTargetMs } = options;
  const latencyMs = load.elapsedMs + answerMs(load, load.beforeFirst);
  if (load.priority === 'interactive' && latencyTargetMs > 0 && latencyMs > load.usableShare * latencyTargetMs) {
    return overloaded(
      'latency_target',
      `An answer would take ${Math.ceil(latencyMs)} ms, near or beyond the target of ${latencyTargetMs} ms.`,
      latencyMs,
    );
  }
  const lastMs = answerMs(load, load.beforeLast + load.images - 1);
  if (now + lastMs > load.deadlineAt) {
    const leftMs = Math.ceil(load.deadlineAt - now);
    const sentence = `An answer would take ${Math.ceil(lastMs)} ms; the deadline of the request leaves ${leftMs} ms.`;
    return overloaded('deadline', sentence, lastMs);
  }
  return null;
}

/** The error of a request whose deadline has come before a thread was free. */
export function deadlineExceeded(): PerennialError {
  return new PerennialError(
    'deadline_exceeded',
    'The deadline of the request passed before a thread was free for it. Allow more time, or send it again later.',
  );
}

/** Until the answer of what comes behind so many images; no time that is known where a thread is free for it. */
function answerMs(load: Load, images: number): number {
  return load.free || load.imageMs === null ? 0 : waitMs(load, images) + load.imageMs;
}

/** Until a thread has done what comes first. */
function waitMs({ working, threads, imageMs }: Load, images: number): number {
  return ((images + working / 2) * (imageMs ?? 0)) / threads;
}

function overloaded(reason: ShedReason, sentence: string, retryAfterMs: number): PerennialError {
  return new PerennialError('overloaded', `${sentence} Send the request again later.`, {
    details: { reason, retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) },
  });
}

/** Why the engine has refused a request with `overloaded`. */
export function shedReasonOf(error: unknown): ShedReason {
  const reason = error instanceof PerennialError ? error.details.reason : undefined;
  return shedReasons.find((one) => one === reason) ?? 'queue_full';
}
