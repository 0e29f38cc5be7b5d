import { nextDelayMs } from '../../../infra/local/backoff.js';

describe('the delay before a crashed process is restarted', () => {
  it('starts at one second, doubles, and stays at 30 seconds', () => {
    const pauses: number[] = [];
    let pauseMs: number | null = null;
    for (let crash = 0; crash < 8; crash += 1) {
      pauseMs = nextDelayMs(pauseMs, 500);
      pauses.push(pauseMs);
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is one second again after the process has run for a minute', () => {
    expect(nextDelayMs(16_000, 59_999)).toBe(30_000);
    expect(nextDelayMs(16_000, 60_000)).toBe(1000);
  });
});
