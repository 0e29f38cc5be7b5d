import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, JobOutcome, Pace } from '../../model/serving/messages.js';
import { ThreadPool, type ThreadPoolOptions } from '../../model/serving/thread-pool.js';
import type { Outcome, Thread } from '../../model/serving/thread.js';

/** A thread whose jobs the test ends by hand. */
export interface HandThread extends Thread {
  /** All jobs it was given, and the sizes of the batches they came in. */
  jobs: Job[];
  batches: number[];
  finish(outcome: Outcome): Promise<void>;
}

export function handThread(pace: Pace = { batchSize: 1, imageMs: null }): HandThread {
  const jobs: Job[] = [];
  const batches: number[] = [];
  let settle: (outcome: Outcome) => void = () => undefined;
  let end: (message: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => (end = resolve));
  return {
    jobs,
    batches,
    ended,
    pace,
    run: (given) => {
      jobs.push(...given);
      batches.push(given.length);
      return new Promise((resolve) => (settle = resolve));
    },
    close: () => {
      end('closed');
      return Promise.resolve();
    },
    finish: async (outcome) => {
      settle(outcome);
      if (outcome.type === 'died') end(outcome.message);
      await sleep(1);
    },
  };
}

export interface HandPool {
  pool: ThreadPool;
  started: HandThread[];
  deaths: string[];
}

/** A pool of threads that the test moves by hand; `failures` are what later starts fail with. */
export async function handPool(
  options: Partial<ThreadPoolOptions> & { pace?: Pace },
  failures: Error[] = [],
): Promise<HandPool> {
  const { threads = 1, pace, ...others } = options;
  const started: HandThread[] = [];
  const deaths: string[] = [];
  const start = (): Promise<Thread> => {
    const failure = started.length >= threads ? failures.shift() : undefined;
    if (failure !== undefined) return Promise.reject(failure);
    const thread = handThread(pace);
    started.push(thread);
    return Promise.resolve(thread);
  };
  const pool = await ThreadPool.create({
    threads,
    queueLimit: 10,
    latencyTargetMs: 0,
    start,
    onDeath: (message) => deaths.push(message),
    ...others,
  });
  return { pool, started, deaths };
}

/** What a thread answers that was given images with these marks, one each. */
export function answers(...marks: number[]): Outcome {
  const outcomes = marks.map((mark): JobOutcome => {
    return { type: 'answer', rows: [{ probabilities: [mark], nearest: null }], decodeMs: 0, inferMs: 0 };
  });
  return { type: 'done', outcomes };
}

/** The job of an image file of one byte. */
export function imageJob(mark: number): Job {
  return { kind: 'image', bytes: Uint8Array.of(mark) };
}

/** The marks of the jobs a thread was given. */
export function marksOf(thread: HandThread | undefined): (number | undefined)[] {
  return thread?.jobs.map(({ bytes }) => bytes[0]) ?? [];
}
