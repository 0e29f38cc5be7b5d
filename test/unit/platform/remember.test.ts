import { setTimeout as sleep } from 'node:timers/promises';
import { remember } from '../../../platform/remember.js';
import { withTimeLimit } from '../../../platform/time-limit.js';

describe('a remembered answer', () => {
  it('is read once for all callers within the time, also concurrent ones, and again after it', async () => {
    let reads = 0;
    const slowly = async (): Promise<number> => {
      await sleep(1);
      return ++reads;
    };
    const read = remember(60_000, slowly);
    expect(await Promise.all([read(), read(), read()])).toEqual([1, 1, 1]);
    expect(await read()).toBe(1);
    const readSoon = remember(5, slowly);
    expect(await readSoon()).toBe(2);
    await sleep(20);
    expect(await readSoon()).toBe(3);
  });

  it('may be a failure, which is not retried immediately', async () => {
    let reads = 0;
    const read = remember(10_000, () => Promise.reject(new Error(`read ${++reads}`)));
    await expect(read()).rejects.toThrow('read 1');
    await expect(read()).rejects.toThrow('read 1');
  });
});

describe('a time limit', () => {
  it('returns an answer in time, and throws a failure in time', async () => {
    expect(await withTimeLimit(1_000, Promise.resolve('here'))).toBe('here');
    await expect(withTimeLimit(1_000, Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('ends the wait for an answer that does not arrive', async () => {
    await expect(withTimeLimit(5, new Promise(() => undefined))).rejects.toThrow('no answer within 5 ms');
  });
});
