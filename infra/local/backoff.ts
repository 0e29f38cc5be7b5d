const firstDelayMs = 1_000;
const longestDelayMs = 30_000;
const steadyAfterMs = 60_000;

/**
 * How long to wait before a crashed process is started again: 1 s, doubled at each crash up to 30 s, and from the
 * beginning once it ran for a minute.
 */
export function nextDelayMs(formerDelayMs: number | null, ranForMs: number): number {
  if (formerDelayMs === null || ranForMs >= steadyAfterMs) return firstDelayMs;
  return Math.min(formerDelayMs * 2, longestDelayMs);
}
