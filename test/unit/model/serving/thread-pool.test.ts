import { setTimeout as sleep } from 'node:timers/promises';
import { errorCodeOf, type ErrorCode } from '../../../../contracts/errors.js';
import type { Answer } from '../../../../model/serving/job-queue.js';
import { ThreadPool } from '../../../../model/serving/thread-pool.js';
import type { Outcome, Thread } from '../../../../model/serving/thread.js';
import {
  answers,
  manualPool,
  manualThread,
  imageJob,
  marksOf,
  type ManualPool,
} from '../../../support/manual-thread.js';

function poolOf(threads: number, queueLimit = 10, failures: Error[] = []): Promise<ManualPool> {
  return manualPool({ threads, queueLimit }, failures);
}

function refused(code: ErrorCode): Outcome {
  return { type: 'done', outcome: { type: 'refused', code, message: 'broken' } };
}

/** What a run ends in: the first number of its first answer, or the code of its failure. */
async function endOf(run: Promise<Answer[]>): Promise<unknown> {
  return run.then(([first]) => first?.rows[0]?.probabilities[0], errorCodeOf);
}

describe('ThreadPool', () => {
  it('gives a job to a free thread only, and the rest in order as threads come free', async () => {
    const { pool, started } = await poolOf(2);
    const ends = [1, 2, 3, 4].map((mark) => endOf(pool.run([imageJob(mark)])));
    expect([marksOf(started[0]), marksOf(started[1])]).toEqual([[1], [2]]);
    expect(pool.waiting).toBe(2);
    await started[1]?.finish(answers(2));
    await started[1]?.finish(answers(3));
    expect([marksOf(started[0]), marksOf(started[1])]).toEqual([[1], [2, 3, 4]]);
    await started[0]?.finish(answers(1));
    await started[1]?.finish(answers(4));
    expect(await Promise.all(ends)).toEqual([1, 2, 3, 4]);
  });

  it('refuses what comes while the queue is full, and only that', async () => {
    const { pool, started } = await poolOf(1, 2);
    const ends = [1, 2, 3, 4].map((mark) => endOf(pool.run([imageJob(mark)])));
    expect(await ends[3]).toBe('overloaded');
    for (const mark of [1, 2, 3]) await started[0]?.finish(answers(mark));
    expect(await Promise.all(ends.slice(0, 3))).toEqual([1, 2, 3]);
  });

  it('passes on the code with which a thread refuses a job, and continues', async () => {
    const { pool, started } = await poolOf(1);
    const ends = [1, 2].map((mark) => endOf(pool.run([imageJob(mark)])));
    await started[0]?.finish(refused('undecodable_image'));
    await started[0]?.finish(answers(2));
    expect(await Promise.all(ends)).toEqual(['undecodable_image', 2]);
  });

  it('retries the job of a dead thread once, before all others, and replaces the thread', async () => {
    const { pool, started, deaths } = await poolOf(1);
    const ends = [1, 2].map((mark) => endOf(pool.run([imageJob(mark)])));
    await started[0]?.finish({ type: 'died', message: 'out of memory' });
    expect(deaths).toEqual(['out of memory']);
    expect(marksOf(started[1])).toEqual([1]);
    await started[1]?.finish(answers(1));
    await started[1]?.finish(answers(2));
    expect(await Promise.all(ends)).toEqual([1, 2]);
  });

  it('fails a job that two threads died of, and only that one', async () => {
    const { pool, started } = await poolOf(1);
    const ends = [1, 2].map((mark) => endOf(pool.run([imageJob(mark)])));
    await started[0]?.finish({ type: 'died', message: 'crash' });
    await started[1]?.finish({ type: 'died', message: 'crash' });
    expect(await ends[0]).toBe('internal');
    await started[2]?.finish(answers(2));
    expect(await ends[1]).toBe(2);
  });

  it('replaces an idle thread that dies, and retries when the start fails', async () => {
    const { pool, started, deaths } = await poolOf(1, 10, [new Error('no memory')]);
    await started[0]?.close();
    const end = endOf(pool.run([imageJob(1)]));
    while (started.length < 2) await sleep(5);
    expect(deaths).toHaveLength(2);
    await sleep(1);
    await started[1]?.finish(answers(1));
    expect(await end).toBe(1);
  });

  it('finishes its jobs when it is closed, and accepts no more', async () => {
    const { pool, started, deaths } = await poolOf(1);
    const ends = [1, 2].map((mark) => endOf(pool.run([imageJob(mark)])));
    let closed = false;
    const closing = pool.close().then(() => (closed = true));
    expect(await endOf(pool.run([imageJob(3)]))).toBe('no_model');
    await started[0]?.finish(answers(1));
    expect(closed).toBe(false);
    await started[0]?.finish(answers(2));
    await closing;
    expect(await Promise.all(ends)).toEqual([1, 2]);
    expect(deaths).toEqual([]);
    expect(started).toHaveLength(1);
  });

  it('closes even if no thread can be started any more', async () => {
    const { pool, started } = await poolOf(1, 10, [new Error('no memory')]);
    const end = endOf(pool.run([imageJob(1)]));
    const closing = pool.close();
    await started[0]?.finish({ type: 'died', message: 'crash' });
    await closing;
    expect(await end).toBe('internal');
  });

  it('ends the threads that did start when one does not', async () => {
    const thread = manualThread();
    const starts = [Promise.resolve(thread), Promise.reject(new Error('cannot load'))];
    const start = (): Promise<Thread> => starts.shift() ?? Promise.reject(new Error('started too often'));
    const creation = ThreadPool.create({
      threads: 2,
      queueLimit: 1,
      latencyTargetMs: 0,
      start,
      onDeath: () => undefined,
    });
    await expect(creation).rejects.toThrow('cannot load');
    expect(await thread.ended).toBe('closed');
  });

  it('admits the jobs of one call together, and fails them together', async () => {
    const { pool, started } = await poolOf(1, 2);
    const end = endOf(pool.run([1, 2, 3, 4].map(imageJob)));
    expect(pool.waiting).toBe(3);
    expect(await endOf(pool.run([imageJob(5)]))).toBe('overloaded');
    for (const mark of [1, 2, 3]) await started[0]?.finish(answers(mark));
    await started[0]?.finish(refused('internal'));
    expect(await end).toBe('internal');
  });
});
