import { backoffMs } from '../../platform/backoff.js';

const limits = { first: 1_000, most: 30_000 };
const steadyAfterMs = 60_000;

/** Number of consecutive crashes of a process; starts again once it has run for a minute. */
export function crashesInRow(before: number, ranForMs: number): number {
  return ranForMs >= steadyAfterMs ? 1 : before + 1;
}

/** Delay before a crashed process is restarted. Without jitter, because it is printed for the user. */
export function restartDelayMs(crashes: number): number {
  return backoffMs(limits, crashes, () => 1);
}
