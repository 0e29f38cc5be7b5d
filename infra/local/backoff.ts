import { backoffMs } from '../../platform/backoff.js';

const limits = { first: 1_000, most: 30_000 };
const steadyAfterMs = 60_000;

/** How often a process has crashed in a row; the count begins anew once it ran for a minute. */
export function crashesInRow(before: number, ranForMs: number): number {
  return ranForMs >= steadyAfterMs ? 1 : before + 1;
}

/** How long to wait before a crashed process is started again. Not random: it is printed for the user. */
export function restartDelayMs(crashes: number): number {
  return backoffMs(limits, crashes, () => 1);
}
