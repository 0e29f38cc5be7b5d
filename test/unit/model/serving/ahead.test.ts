import type { Thread } from '../../../../model/serving/thread.js';
import {
  answers,
  endOf,
  imageJob,
  manualPool,
  manualThread,
  marksOf,
  pixelsJob,
} from '../../../support/manual-thread.js';

const background = { priority: 'background' } as const;

describe('jobs ahead', () => {
  it('are single images, one at each thread', async () => {
    const { pool, started } = await manualPool({ threads: 2, ahead: true });
    const ends = [1, 2, 3, 4, 5].map((mark) => endOf(pool.run([imageJob(mark)])));
    expect(started.map(marksOf)).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(pool.waiting).toBe(3);
    await started[1]?.finish(answers(2));
    expect(started.map(marksOf)).toEqual([
      [1, 3],
      [2, 4, 5],
    ]);
    for (const mark of [1, 3]) await started[0]?.finish(answers(mark));
    for (const mark of [4, 5]) await started[1]?.finish(answers(mark));
    expect(await Promise.all(ends)).toEqual([[1], [2], [3], [4], [5]]);
  });

  it('keep the order of the queue: a job that cannot go ahead is not overtaken, and none goes ahead behind it', async () => {
    const { pool, started } = await manualPool({ threads: 1, ahead: true });
    const ends = [imageJob(1), pixelsJob(2, 4), imageJob(3), imageJob(4)].map((job) => endOf(pool.run([job])));
    expect(marksOf(started[0])).toEqual([1]);
    await started[0]?.finish(answers(1));
    expect(marksOf(started[0])).toEqual([1, 2]);
    await started[0]?.finish(answers(2));
    expect(marksOf(started[0])).toEqual([1, 2, 3, 4]);
    for (const mark of [3, 4]) await started[0]?.finish(answers(mark));
    expect(await Promise.all(ends)).toEqual([[1], [2], [3], [4]]);
  });

  it('do not follow background jobs, and are never background jobs', async () => {
    const { pool, started } = await manualPool({ threads: 1, ahead: true });
    const ends = [endOf(pool.run([imageJob(1)], background)), endOf(pool.run([imageJob(2)]))];
    expect(marksOf(started[0])).toEqual([1]);
    await started[0]?.finish(answers(1));
    ends.push(endOf(pool.run([imageJob(3)], background)));
    expect(marksOf(started[0])).toEqual([1, 2]);
    for (const mark of [2, 3]) await started[0]?.finish(answers(mark));
    expect(await Promise.all(ends)).toEqual([[1], [2], [3]]);
  });

  it('are none while another thread has a background job, because it will be free soon', async () => {
    const { pool, started } = await manualPool({ threads: 2, ahead: true });
    const ends = [endOf(pool.run([imageJob(1)], background))];
    ends.push(...[2, 3, 4].map((mark) => endOf(pool.run([imageJob(mark)]))));
    expect(started.map(marksOf)).toEqual([[1], [2]]);
    await started[0]?.finish(answers(1));
    expect(started.map(marksOf)).toEqual([
      [1, 3],
      [2, 4],
    ]);
    ends.push(endOf(pool.run([imageJob(5)], background)));
    await started[0]?.finish(answers(3));
    expect(started.map(marksOf)).toEqual([
      [1, 3],
      [2, 4],
    ]);
    await started[1]?.finish(answers(2));
    expect(started.map(marksOf)).toEqual([
      [1, 3, 5],
      [2, 4],
    ]);
    await started[0]?.finish(answers(5));
    await started[1]?.finish(answers(4));
    expect(await Promise.all(ends)).toEqual([[1], [2], [3], [4], [5]]);
  });

  it('are retried one by one when the thread dies, and only the one that kills it fails', async () => {
    const { pool, started } = await manualPool({ threads: 1, ahead: true });
    const ends = [1, 2, 3].map((mark) => endOf(pool.run([imageJob(mark)])));
    expect(marksOf(started[0])).toEqual([1, 2]);
    await started[0]?.finish({ type: 'died', message: 'crash' });
    expect(marksOf(started[1])).toEqual([1]);
    await started[1]?.finish({ type: 'died', message: 'crash' });
    expect(marksOf(started[2])).toEqual([2]);
    await started[2]?.finish(answers(2));
    await started[2]?.finish(answers(3));
    expect(await Promise.all(ends)).toEqual(['internal', [2], [3]]);
  });

  it('are rejected at their deadline, which does not affect the job in progress', async () => {
    const { pool, started } = await manualPool({ threads: 1, ahead: true });
    const deadlineAt = performance.now() + 30;
    const first = endOf(pool.run([imageJob(1)], { deadlineAt }));
    const second = endOf(pool.run([imageJob(2)], { deadlineAt }));
    expect(marksOf(started[0])).toEqual([1, 2]);
    expect(await second).toBe('deadline_exceeded');
    const third = endOf(pool.run([imageJob(3)]));
    for (const mark of [1, 2, 3]) await started[0]?.finish(answers(mark));
    expect(await Promise.all([first, third])).toEqual([[1], [3]]);
    expect(pool.waiting).toBe(0);
  });
});

describe('a job that is alone', () => {
  it('goes to the thread that can use most cores, and is no longer alone when another is in progress', async () => {
    const [narrow, wide] = [manualThread(), manualThread(2)];
    const starts: Thread[] = [wide, narrow];
    const start = (): Promise<Thread> => Promise.resolve(starts.pop() ?? manualThread());
    const { pool } = await manualPool({ threads: 2, start });
    const ends = [1, 2].map((mark) => endOf(pool.run([imageJob(mark)])));
    expect([marksOf(wide), marksOf(narrow)]).toEqual([[1], [2]]);
    await narrow.finish(answers(2));
    await wide.finish(answers(1));
    ends.push(endOf(pool.run([imageJob(3)])));
    await wide.finish(answers(3));
    expect(await Promise.all(ends)).toEqual([[1], [2], [3]]);
    expect([marksOf(wide), wide.alone, narrow.alone]).toEqual([[1, 3], [true, true], [false]]);
  });
});
