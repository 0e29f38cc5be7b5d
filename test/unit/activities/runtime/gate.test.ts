import { createGate } from '../../../../activities/runtime/gate.js';

describe('a gate', () => {
  it('lets at most so many through at once, all of them in the end, and gives their results', async () => {
    const gate = createGate(3);
    let inside = 0;
    let most = 0;
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        gate(async () => {
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

  it('stays open after works that fail', async () => {
    const gate = createGate(1);
    const failing = [1, 2, 3].map(() => gate(() => Promise.reject(new Error('no'))));
    const after = gate(() => Promise.resolve('through'));
    for (const each of failing) await expect(each).rejects.toThrow('no');
    expect(await after).toBe('through');
  });
});
