const firstDelayMs = 1_000;
const longestDelayMs = 30_000;
const steadyAfterMs = 60_000;

/**
 * Delay before a crashed process is restarted: 1 s, doubled at each crash up to 30 s, and back to 1 s once the process
 * has run for a minute.
 */
export function nextDelayMs(previousDelayMs: number | null, ranForMs: number): number {
  if (previousDelayMs === null || ranForMs >= steadyAfterMs) return firstDelayMs;
  return Math.min(previousDelayMs * 2, longestDelayMs);
}
