export interface BackoffLimits {
  /** Longest pause after the first failure. */
  first: number;
  /** Longest pause after any number of failures. */
  most: number;
}

/**
 * The pause in milliseconds after so many failures in a row. The longest doubles from `first` to `most`; this one is
 * random, from half of it to all of it, so that clients do not retry together. `random` = `() => 1` gives all of it.
 */
export function backoffMs({ first, most }: BackoffLimits, failures: number, random = Math.random): number {
  return Math.min(first * 2 ** Math.min(failures - 1, 30), most) * (0.5 + random() / 2);
}
