import fc from 'fast-check';
import { backoffMs } from '../../../platform/backoff.js';

const limits = { first: 1_000, most: 600_000 };

describe('the pause after failures in a row', () => {
  it('doubles from a second to ten minutes', () => {
    const pauses = [1, 2, 3, 10, 11, 1_000].map((attempts) => backoffMs(limits, attempts, () => 1));
    expect(pauses).toEqual([1_000, 2_000, 4_000, 512_000, 600_000, 600_000]);
  });

  it('is spread over its upper half', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempts, chance) => {
          const most = backoffMs(limits, attempts, () => 1);
          const pause = backoffMs(limits, attempts, () => chance);
          expect(pause).toBeGreaterThanOrEqual(most / 2);
          expect(pause).toBeLessThanOrEqual(most);
        },
      ),
    );
  });
});
