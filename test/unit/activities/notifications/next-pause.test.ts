import fc from 'fast-check';
import { nextPauseMs } from '../../../../activities/notifications/dispatcher.js';

const limits = { first: 1_000, most: 600_000 };

describe('the pause after a failed attempt', () => {
  it('doubles from a second to ten minutes', () => {
    const pauses = [1, 2, 3, 10, 11, 1_000].map((attempts) => nextPauseMs(attempts, limits, () => 1));
    expect(pauses).toEqual([1_000, 2_000, 4_000, 512_000, 600_000, 600_000]);
  });

  it('is spread over its upper half', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempts, chance) => {
          const most = nextPauseMs(attempts, limits, () => 1);
          const pause = nextPauseMs(attempts, limits, () => chance);
          expect(pause).toBeGreaterThanOrEqual(most / 2);
          expect(pause).toBeLessThanOrEqual(most);
        },
      ),
    );
  });
});
