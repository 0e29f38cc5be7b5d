import { coalesce } from '../../../platform/coalesce.js';

describe('coalescing', () => {
  it('asks once for questions of the same moment, and once for all that arrive meanwhile', async () => {
    const calls: number[][] = [];
    let finish = (): void => undefined;
    const half = coalesce(async (numbers: number[]) => {
      calls.push(numbers);
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return (number) => number / 2;
    });
    const first = [half(2), half(4)];
    while (calls.length < 1) await new Promise(setImmediate);
    const later = [half(6), half(8), half(2)];
    finish();
    expect(await Promise.all(first)).toEqual([1, 2]);
    while (calls.length < 2) await new Promise(setImmediate);
    finish();
    expect(await Promise.all(later)).toEqual([3, 4, 1]);
    expect(calls).toEqual([
      [2, 4],
      [6, 8, 2],
    ]);
  });

  it('fails for the questions of a failed call only', async () => {
    const answer = coalesce(async (numbers: number[]) => {
      if (numbers.includes(0)) throw new Error('no zero');
      return Promise.resolve((number: number) => number);
    });
    const together = await Promise.allSettled([answer(0), answer(1)]);
    expect(together.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await answer(1)).toBe(1);
  });
});
