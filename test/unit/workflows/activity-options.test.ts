import { msToNumber } from '@temporalio/common/lib/time.js';
import * as allOptions from '../../../workflows/activity-options.js';

const hourMs = 3_600_000;

describe('activity options', () => {
  it.each(Object.entries(allOptions))(
    '%s leave a worker that was away for an hour time to come back',
    (_name, options) => {
      expect(msToNumber(options.scheduleToCloseTimeout)).toBeGreaterThan(hourMs);
      // There is no limit on the time in the queue, and none on the number of attempts.
      expect(options).not.toHaveProperty('scheduleToStartTimeout');
      expect(options.retry).not.toHaveProperty('maximumAttempts');
      expect(msToNumber(options.retry.maximumInterval)).toBeLessThanOrEqual(10_000);
    },
  );
});
