import { concurrently } from '../../../platform/concurrently.js';

describe('concurrently', () => {
  it('preserves the order of the items and never runs more than the limit', async () => {
    let running = 0;
    let most = 0;
    const results = await concurrently([5, 1, 4, 2, 3], 2, async (item) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, item));
      running--;
      return item * 10;
    });
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  it('throws the first failure only after the calls under way have ended', async () => {
    const ended: number[] = [];
    const work = async (item: number): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, item));
      ended.push(item);
      if (item === 1) throw new Error('one');
    };
    await expect(concurrently([20, 1, 30], 2, work)).rejects.toThrow('one');
    expect(ended).toEqual([1, 20]);
  });

  it('throws the failure of the earliest item, regardless of the order of failures, and starts no more', async () => {
    const started: number[] = [];
    const work = async (ms: number, index: number): Promise<void> => {
      started.push(index);
      await new Promise((resolve) => setTimeout(resolve, ms));
      throw new Error(`item ${index}`);
    };
    await expect(concurrently([20, 1, 1], 2, work)).rejects.toThrow('item 0');
    expect(started).toEqual([0, 1]);
  });

  it('throws the reason of the cancellation, regardless of how the running calls end', async () => {
    const controller = new AbortController();
    const work = async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      controller.abort(new Error('cancelled'));
      throw new Error('cut off');
    };
    await expect(concurrently([1, 2], 2, work, controller.signal)).rejects.toThrow('cancelled');
  });

  it('starts nothing more once the signal has fired', async () => {
    const controller = new AbortController();
    const started: number[] = [];
    const work = (item: number): Promise<void> => {
      started.push(item);
      controller.abort(new Error('cancelled'));
      return Promise.resolve();
    };
    await expect(concurrently([1, 2, 3], 1, work, controller.signal)).rejects.toThrow('cancelled');
    expect(started).toEqual([1]);
  });
});
