export interface BackoffLimits {
  /** Longest pause after the first failure. */
  first: number;
  /** Longest pause after any. */
  most: number;
}

/**
 * The pause in milliseconds after so many failures in a row: its longest doubles from `first` to `most`, and half of it
 * is random, so that clients that failed together do not try again together. Without randomness: `random` gives 1.
 */
export function backoffMs({ first, most }: BackoffLimits, failures: number, random = Math.random): number {
  return Math.min(first * 2 ** Math.min(failures - 1, 30), most) * (0.5 + random() / 2);
}
