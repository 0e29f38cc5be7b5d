import { crashesInRow, restartDelayMs } from '../../../infra/local/backoff.js';

describe('the pause before a crashed process is started again', () => {
  it('is a second at first, doubles, and stays at half a minute', () => {
    const pauses: number[] = [];
    let crashes = 0;
    for (let crash = 0; crash < 8; crash += 1) {
      crashes = crashesInRow(crashes, 500);
      pauses.push(restartDelayMs(crashes));
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is a second again once the process ran for a minute', () => {
    expect(restartDelayMs(crashesInRow(5, 59_999))).toBe(30_000);
    expect(restartDelayMs(crashesInRow(5, 60_000))).toBe(1000);
  });
});
