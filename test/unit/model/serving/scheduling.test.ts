import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { PerennialError } from '../../../../contracts/errors.js';
import type { Answer } from '../../../../model/serving/job-queue.js';
import type { Job } from '../../../../model/serving/messages.js';
import type { Thread } from '../../../../model/serving/thread.js';
import type { ThreadPool } from '../../../../model/serving/thread-pool.js';
import { createThreadDouble } from '../../../support/busy-thread.js';
import {
  answers,
  endOf,
  manualPool,
  manualThread,
  imageJob,
  marksOf,
  pixelsJob,
} from '../../../support/manual-thread.js';

async function detailsOf(run: Promise<Answer[]>): Promise<unknown> {
  const error: unknown = await run.catch((thrown: unknown) => thrown);
  return error instanceof PerennialError ? { code: error.code, ...error.details } : error;
}

const background = { priority: 'background' } as const;

describe('the two priorities', () => {
  it('run a background job only when no interactive one waits', async () => {
    const { pool, started } = await manualPool({ threads: 1 });
    const ends = [pool.run([imageJob(1)]), pool.run([imageJob(2)], background), pool.run([imageJob(3)])].map(endOf);
    await started[0]?.finish(answers(1));
    await started[0]?.finish(answers(3));
    await started[0]?.finish(answers(2));
    expect(marksOf(started[0])).toEqual([1, 3, 2]);
    expect(await Promise.all(ends)).toEqual([[1], [2], [3]]);
  });

  it('leave one of several threads to interactive jobs', async () => {
    const { pool, started } = await manualPool({ threads: 3 });
    const ends = [1, 2, 3, 4].map((mark) => endOf(pool.run([imageJob(mark)], background)));
    expect(started.map(marksOf)).toEqual([[1], [2], []]);
    ends.push(endOf(pool.run([imageJob(9)])));
    expect(started.map(marksOf)).toEqual([[1], [2], [9]]);
    await started[2]?.finish(answers(9));
    expect(started.map(marksOf)).toEqual([[1], [2], [9]]);
    await started[0]?.finish(answers(1));
    expect(started.map(marksOf)).toEqual([[1, 3], [2], [9]]);
    await started[1]?.finish(answers(2));
    expect(started.map(marksOf)).toEqual([[1, 3], [2, 4], [9]]);
    await started[0]?.finish(answers(3));
    await started[1]?.finish(answers(4));
    expect(await Promise.all(ends)).toEqual([[1], [2], [3], [4], [9]]);
  });

  it('have a limit each: a full background queue refuses no interactive request', async () => {
    const { pool } = await manualPool({ threads: 1, queueLimit: 2 });
    const runs = [1, 2, 3].map((mark) => pool.run([imageJob(mark)], background));
    expect(await detailsOf(pool.run([imageJob(4)], background))).toMatchObject({ reason: 'queue_full' });
    runs.push(pool.run([imageJob(5)]), pool.run([imageJob(6)]));
    expect(pool.waiting).toBe(4);
    expect(await detailsOf(pool.run([imageJob(7)]))).toMatchObject({ reason: 'queue_full' });
    expect(runs).toHaveLength(5);
  });
});

describe('the queue', () => {
  it('serves one image between the jobs of a request for many, whose order is kept', async () => {
    const { pool, started } = await manualPool({ threads: 1 });
    const many = endOf(pool.run([1, 2, 3, 4].map((mark) => pixelsJob(mark, 1))));
    const one = endOf(pool.run([imageJob(9)]));
    for (const mark of [1, 2, 9, 3, 4]) await started[0]?.finish(answers(mark));
    expect(marksOf(started[0])).toEqual([1, 2, 9, 3, 4]);
    expect(await Promise.all([many, one])).toEqual([[1, 2, 3, 4], [9]]);
  });

  it('counts images, not requests', async () => {
    const { pool } = await manualPool({ threads: 1, queueLimit: 10 });
    const runs = [pool.run([imageJob(1)]), pool.run([pixelsJob(2, 4), pixelsJob(3, 4)])];
    expect(pool.waiting).toBe(8);
    expect(await detailsOf(pool.run([pixelsJob(4, 3)]))).toMatchObject({ code: 'overloaded', reason: 'queue_full' });
    runs.push(pool.run([pixelsJob(5, 2)]));
    expect(pool.waiting).toBe(10);
    expect(runs).toHaveLength(3);
  });

  it('drops the rest of a request of which one job has failed', async () => {
    const { pool, started } = await manualPool({ threads: 1 });
    const end = endOf(pool.run([imageJob(1), imageJob(2), imageJob(3)]));
    const outcome = { type: 'refused' as const, code: 'undecodable_image' as const, message: 'broken' };
    await started[0]?.finish({ type: 'done', outcome });
    expect(await end).toBe('undecodable_image');
    await started[0]?.finish(answers(2));
    expect(pool.waiting).toBe(0);
    expect(marksOf(started[0])).not.toContain(3);
  });
});

describe('deadlines', () => {
  it('reject requests that are already late, and those that become late before a thread is free', async () => {
    const { pool, started } = await manualPool({ threads: 1 });
    expect(await endOf(pool.run([imageJob(1)], { deadlineAt: performance.now() - 1 }))).toBe('deadline_exceeded');
    const first = endOf(pool.run([imageJob(2)]));
    expect(await endOf(pool.run([imageJob(3)], { deadlineAt: performance.now() + 20 }))).toBe('deadline_exceeded');
    await started[0]?.finish(answers(2));
    expect(await first).toEqual([2]);
    expect(marksOf(started[0])).toEqual([2]);
    expect(pool.waiting).toBe(0);
  });

  it('reject a job whose thread was lost, when they pass before there is another', async () => {
    const first = manualThread();
    const starts: Promise<Thread>[] = [Promise.resolve(first)];
    const { pool } = await manualPool({ start: () => starts.shift() ?? new Promise(() => undefined) });
    const end = endOf(pool.run([imageJob(1)], { deadlineAt: performance.now() + 50 }));
    await first.finish({ type: 'died', message: 'crash' });
    expect(await end).toBe('deadline_exceeded');
    expect(pool.waiting).toBe(0);
  });

  it('reject a job whose thread is lost after they passed', async () => {
    const first = manualThread();
    const starts: Promise<Thread>[] = [Promise.resolve(first)];
    const { pool } = await manualPool({ start: () => starts.shift() ?? new Promise(() => undefined) });
    const end = endOf(pool.run([imageJob(1)], { deadlineAt: performance.now() + 20 }));
    await sleep(100);
    await first.finish({ type: 'died', message: 'crash' });
    expect(await end).toBe('deadline_exceeded');
    expect(pool.waiting).toBe(0);
  });

  it('do not affect a job in progress', async () => {
    const { pool, started } = await manualPool({ threads: 1 });
    const end = endOf(pool.run([imageJob(1)], { deadlineAt: performance.now() + 200 }));
    await sleep(300);
    await started[0]?.finish(answers(1));
    expect(await end).toEqual([1]);
  });
});

/** A random request. */
const requestArbitrary = fc.record({
  priority: fc.constantFrom('interactive' as const, 'background' as const),
  counts: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 5 }),
});

/** Jobs with unique marks; a count of 0 stands for an image file. */
function jobsOf(counts: readonly number[], firstMark: number): Job[] {
  return counts.map((count, at) => (count === 0 ? imageJob(firstMark + at) : pixelsJob(firstMark + at, count)));
}

describe('for any requests, priorities and deaths of threads', () => {
  it('every image has its own answer, in the order of its request', async () => {
    const scenario = fc.record({
      requests: fc.array(requestArbitrary, { minLength: 1, maxLength: 30 }),
      threads: fc.integer({ min: 1, max: 3 }),
      ahead: fc.boolean(),
      deaths: fc.array(fc.integer({ min: 1, max: 25 }), { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ requests, threads, ahead, deaths }) => {
        const double = createThreadDouble({ deaths });
        const { pool } = await manualPool({ threads, ahead, queueLimit: 1000, start: double.start });
        const runs = requests.map(({ priority, counts }, at) => pool.run(jobsOf(counts, 8 * at), { priority }));
        const found = await Promise.all(runs.map(endOf));
        await pool.close();
        // A job that two threads died of fails; no other may be lost.
        requests.forEach(({ counts }, at) => {
          const expected = jobsOf(counts, 8 * at).flatMap((job) =>
            Array.from({ length: job.kind === 'pixels' ? job.count : 1 }, () => job.bytes[0]),
          );
          expect(found[at]).toEqual(found[at] === 'internal' && deaths.length > 1 ? 'internal' : expected);
        });
        expect(pool.waiting).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('a pool that is closed meanwhile answers all it accepted', async () => {
    const double = createThreadDouble({ deaths: [3] });
    const { pool } = await manualPool({ threads: 2, ahead: true, queueLimit: 1000, start: double.start });
    const ends = Array.from({ length: 50 }, (_, mark) => endOf(runIn(pool, mark)));
    await pool.close();
    expect(await Promise.all(ends)).toEqual(Array.from({ length: 50 }, (_, mark) => [mark]));
  });
});

function runIn(pool: ThreadPool, mark: number): Promise<Answer[]> {
  return pool.run([imageJob(mark)], mark % 3 === 0 ? background : {});
}

describe('admit', () => {
  it('recovers from one slow image: idle at once, and busy after some of the usual time', async () => {
    const { pool, started } = await manualPool({ threads: 1, latencyTargetMs: 1_000 });
    const first = endOf(pool.run([imageJob(1)]));
    await started[0]?.finish(answers(1, 1_500));
    expect(await first).toEqual([1]);
    const isLetWait = async (): Promise<boolean> => {
      const one = endOf(pool.run([imageJob(2)]));
      const other = endOf(pool.run([imageJob(3)]));
      const isWaiting = pool.waiting > 0;
      await started[0]?.finish(answers(2, 10));
      if (isWaiting) await started[0]?.finish(answers(3, 10));
      expect([await one, await other]).toEqual([[2], isWaiting ? [3] : 'overloaded']);
      return isWaiting;
    };
    expect(await isLetWait()).toBe(false);
    let tries = 1;
    while (!(await isLetWait())) tries += 1;
    expect(tries).toBeLessThan(40);
  });

  it('uses the time that threads were busy, not the time until the event loop had their answers', async () => {
    const { pool, started } = await manualPool({ threads: 1, latencyTargetMs: 50 });
    const first = endOf(pool.run([imageJob(1)]));
    await sleep(200);
    await started[0]?.finish(answers(1, 5));
    const ends = [2, 3].map((mark) => endOf(pool.run([imageJob(mark)])));
    for (const mark of [2, 3]) await started[0]?.finish(answers(mark, 5));
    expect(await Promise.all([first, ...ends])).toEqual([[1], [2], [3]]);
  });

  it('uses the time of interactive images, not of background work', async () => {
    const { pool, started } = await manualPool({ threads: 1, latencyTargetMs: 200 });
    const slow = endOf(pool.run([imageJob(1)], background));
    await started[0]?.finish(answers(1, 5_000));
    const ends = [endOf(pool.run([imageJob(2)])), endOf(pool.run([imageJob(3)]))];
    for (const mark of [2, 3]) await started[0]?.finish(answers(mark));
    expect(await Promise.all([slow, ...ends])).toEqual([[1], [2], [3]]);
  });

  it('lets sixteen clients in at once whose images take 7 ms each, and not hundreds', async () => {
    const { pool, started } = await manualPool({ threads: 2, latencyTargetMs: 100, queueLimit: 1_000 });
    const known = endOf(pool.run([imageJob(0)]));
    await started[0]?.finish(answers(0, 7));
    expect(await known).toEqual([0]);
    const runs = Array.from({ length: 300 }, (_, at) => pool.run([imageJob(at)]));
    const refused = runs.map((run) =>
      run.then(
        () => false,
        () => true,
      ),
    );
    expect(pool.waiting).toBeGreaterThanOrEqual(14);
    expect(pool.waiting).toBeLessThan(30);
    expect(await Promise.all(refused.slice(50))).toEqual(Array(250).fill(true));
  });

  it('throws what a request would be refused with, and queues nothing', async () => {
    const { pool, started } = await manualPool({ threads: 1, queueLimit: 1 });
    pool.admit(1);
    const ends = [endOf(pool.run([imageJob(1)])), endOf(pool.run([imageJob(2)]))];
    expect(() => pool.admit(1)).toThrow('queue is full');
    pool.admit(1, background);
    expect(() => pool.admit(1, { deadlineAt: performance.now() - 1 })).toThrow('deadline');
    expect(pool.waiting).toBe(1);
    for (const mark of [1, 2]) await started[0]?.finish(answers(mark));
    expect(await Promise.all(ends)).toEqual([[1], [2]]);
    pool.admit(1);
    await pool.close();
    expect(() => pool.admit(1)).toThrow('unloaded');
  });
});
