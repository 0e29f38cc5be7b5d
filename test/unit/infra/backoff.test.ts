import { nextDelayMs } from '../../../infra/local/backoff.js';

describe('the pause before a crashed process is started again', () => {
  it('is a second at first, doubles, and stays at half a minute', () => {
    const pauses: number[] = [];
    let pauseMs: number | null = null;
    for (let crash = 0; crash < 8; crash += 1) {
      pauseMs = nextDelayMs(pauseMs, 500);
      pauses.push(pauseMs);
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is a second again once the process ran for a minute', () => {
    expect(nextDelayMs(16_000, 59_999)).toBe(30_000);
    expect(nextDelayMs(16_000, 60_000)).toBe(1000);
  });
});
