import { createLimiter } from '../../../platform/concurrently.js';

describe('a limiter', () => {
  it('runs at most the limit at once, all of them in the end, and returns their results', async () => {
    const limiter = createLimiter(3);
    let inside = 0;
    let most = 0;
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        limiter(async () => {
          most = Math.max(most, ++inside);
          await new Promise((resolve) => setTimeout(resolve, index % 4));
          inside -= 1;
          return index;
        }),
      ),
    );
    expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(most).toBe(3);
  });

  it('continues after failures', async () => {
    const limiter = createLimiter(1);
    const failing = [1, 2, 3].map(() => limiter(() => Promise.reject(new Error('no'))));
    const after = limiter(() => Promise.resolve('through'));
    for (const each of failing) await expect(each).rejects.toThrow('no');
    expect(await after).toBe('through');
  });
});
