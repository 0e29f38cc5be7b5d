import { setTimeout as sleep } from 'node:timers/promises';
import { errorCodeOf } from '../../contracts/errors.js';
import type { Answer } from '../../model/serving/job-queue.js';
import type { Job } from '../../model/serving/messages.js';
import { ThreadPool, type ThreadPoolOptions } from '../../model/serving/thread-pool.js';
import type { Outcome, Thread } from '../../model/serving/thread.js';

/** A thread whose jobs the test finishes manually, in the order in which they were dispatched. */
export interface ManualThread extends Thread {
  /** All jobs dispatched to it, and of each whether the other threads had none. */
  jobs: Job[];
  alone: boolean[];
  finish(outcome: Outcome): Promise<void>;
}

export function manualThread(cores = 1): ManualThread {
  const jobs: Job[] = [];
  const alone: boolean[] = [];
  const settles: ((outcome: Outcome) => void)[] = [];
  let end: (message: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => (end = resolve));
  return {
    jobs,
    alone,
    cores,
    ended,
    run: (job, isAlone = false) => {
      jobs.push(job);
      alone.push(isAlone);
      return new Promise((resolve) => settles.push(resolve));
    },
    reload: () => Promise.reject(new Error('This thread has one model only.')),
    close: () => {
      end('closed');
      return Promise.resolve();
    },
    finish: async (outcome) => {
      const settled = outcome.type === 'died' ? settles.splice(0) : settles.splice(0, 1);
      for (const settle of settled) settle(outcome);
      if (outcome.type === 'died') end(outcome.message);
      await sleep(1);
    },
  };
}

export interface ManualPool {
  pool: ThreadPool;
  started: ManualThread[];
  deaths: string[];
}

/**
 * A pool of manual threads, which get no job ahead unless `ahead` is set; `failures` are the errors of later starts.
 */
export async function manualPool(options: Partial<ThreadPoolOptions>, failures: Error[] = []): Promise<ManualPool> {
  const { threads = 1, ...others } = options;
  const started: ManualThread[] = [];
  const deaths: string[] = [];
  const start = (): Promise<Thread> => {
    const failure = started.length >= threads ? failures.shift() : undefined;
    if (failure !== undefined) return Promise.reject(failure);
    const thread = manualThread();
    started.push(thread);
    return Promise.resolve(thread);
  };
  const pool = await ThreadPool.create({
    threads,
    ahead: false,
    queueLimit: 10,
    latencyTargetMs: 0,
    start,
    onDeath: (message) => deaths.push(message),
    ...others,
  });
  return { pool, started, deaths };
}

/** The outcome for an image with this mark, for which the thread was busy for `inferMs`. */
export function answers(mark: number, inferMs = 0): Outcome {
  const rows = [{ probabilities: [mark], nearest: null }];
  return { type: 'done', outcome: { type: 'answer', rows, decodeMs: 0, inferMs } };
}

/** The job of an image file of one byte. */
export function imageJob(mark: number): Job {
  return { kind: 'image', bytes: Uint8Array.of(mark) };
}

/** The mark of an image of one byte; `other` for any other image. */
export function markOf({ bytes }: Job, other: string): string {
  return bytes.length === 1 ? String(bytes[0]) : other;
}

/** The marks of the jobs dispatched to a thread. */
export function marksOf(thread: ManualThread | undefined): (number | undefined)[] {
  return thread?.jobs.map(({ bytes }) => bytes[0]) ?? [];
}

/** The job of `count` images of pixels, whose contents are not used. */
export function pixelsJob(mark: number, count: number): Job {
  return { kind: 'pixels', bytes: Uint8Array.of(mark), count };
}

/** How a run ends: its marks, or the code of its failure. */
export function endOf(run: Promise<Answer[]>): Promise<unknown> {
  return run.then((found) => found.flatMap(({ rows }) => rows.map((row) => row.probabilities[0])), errorCodeOf);
}
