import { errorCodeOf } from '../../../../contracts/errors.js';
import { answers, endOf, imageJob, manualPool, markOf, type ManualPool } from '../../../support/manual-thread.js';
import type { Job } from '../../../../model/serving/messages.js';
import { pngClaiming } from '../images/test-images.js';

/** An image of 7000×7000 pixels by its header. */
const huge: Job = { kind: 'image', bytes: pngClaiming(7_000, 7_000) };
const background = { priority: 'background' } as const;

/** The jobs of each thread: marks of small images, H for huge ones. */
function seen({ started }: ManualPool): string[] {
  return started.map(({ jobs }) => jobs.map((job) => markOf(job, 'H')).join(''));
}

describe('huge images', () => {
  it('take half of the threads and leave the others to small ones', async () => {
    const manual = await manualPool({ threads: 2 });
    const { pool, started } = manual;
    const ends = [huge, huge, imageJob(1), imageJob(2)].map((job) => endOf(pool.run([job])));
    expect(seen(manual)).toEqual(['H', '1']);
    await started[1]?.finish(answers(1));
    expect(seen(manual)).toEqual(['H', '12']);
    await started[0]?.finish(answers(8));
    expect(seen(manual)).toEqual(['HH', '12']);
    await started[1]?.finish(answers(2));
    await started[0]?.finish(answers(9));
    expect(await Promise.all(ends)).toEqual([[8], [9], [1], [2]]);
  });

  it('leave one thread free together with background jobs', async () => {
    const manual = await manualPool({ threads: 3 });
    const ends = [endOf(manual.pool.run([imageJob(1)], background)), endOf(manual.pool.run([huge]))];
    ends.push(endOf(manual.pool.run([imageJob(2)], background)));
    expect(seen(manual)).toEqual(['1', 'H', '']);
    ends.push(endOf(manual.pool.run([imageJob(3)])));
    expect(seen(manual)).toEqual(['1', 'H', '3']);
    for (const [at, mark] of [1, 9, 3].entries()) await manual.started[at]?.finish(answers(mark));
    await manual.started.find(({ jobs }) => jobs.length === 2)?.finish(answers(2));
    expect(await Promise.all(ends)).toEqual([[1], [9], [2], [3]]);
  });

  it('have no image ahead of them at their thread or behind them', async () => {
    const manual = await manualPool({ threads: 2, ahead: true });
    const { pool, started } = manual;
    const ends = [huge, imageJob(1), huge, imageJob(2)].map((job) => endOf(pool.run([job])));
    expect(seen(manual)).toEqual(['H', '12']);
    for (const mark of [1, 2]) await started[1]?.finish(answers(mark));
    expect(seen(manual)).toEqual(['H', '12']);
    await started[0]?.finish(answers(8));
    expect(seen(manual)).toEqual(['HH', '12']);
    await started[0]?.finish(answers(9));
    expect(await Promise.all(ends)).toEqual([[8], [1], [9], [2]]);
  });

  it('get their turn on threads that always have a small image ahead', async () => {
    const manual = await manualPool({ threads: 1, ahead: true });
    const { pool, started } = manual;
    const ends = [imageJob(1), imageJob(2), huge, imageJob(3), imageJob(4)].map((job) => endOf(pool.run([job])));
    for (const mark of [1, 2, 9, 3, 4]) await started[0]?.finish(answers(mark));
    expect(seen(manual)).toEqual(['12H34']);
    expect(await Promise.all(ends)).toEqual([[1], [2], [9], [3], [4]]);
  });

  it('are refused when four of them wait, while small ones are accepted', async () => {
    const { pool } = await manualPool({ threads: 2 });
    const runs = Array.from({ length: 5 }, () => pool.run([huge]));
    const refusal = await pool.run([huge]).catch((error: unknown) => error);
    expect(errorCodeOf(refusal)).toBe('overloaded');
    expect(String(refusal)).toContain('4 huge images are waiting');
    runs.push(pool.run([imageJob(1)]));
    expect(runs).toHaveLength(6);
  });

  it('do not count in the time that a small image is expected to take', async () => {
    const { pool, started } = await manualPool({ threads: 1, latencyTargetMs: 50 });
    const first = endOf(pool.run([huge]));
    await started[0]?.finish(answers(9, 5_000));
    expect(await first).toEqual([9]);
    const ends = [imageJob(1), imageJob(2)].map((job) => endOf(pool.run([job])));
    for (const mark of [1, 2]) await started[0]?.finish(answers(mark));
    expect(await Promise.all(ends)).toEqual([[1], [2]]);
  });
});
