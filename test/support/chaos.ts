import { randomInt } from 'node:crypto';
import { createRandom } from '../../model/seeded-random.js';

/** Random choices of a chaos test. A seed repeats the choices; their effect also depends on timing. */
export interface Chaos {
  seed: number;
  /** A number from `low` up to `high`. */
  between(low: number, high: number): number;
  oneOf<const T>(items: readonly [T, ...T[]]): T;
}

/** Uses CHAOS_SEED, or else a random seed. Put the seed into the test's name, so that a failure can be repeated. */
export function createChaos(given: string | undefined = process.env['CHAOS_SEED']): Chaos {
  const seed = given === undefined || given === '' ? randomInt(2 ** 31) : Number(given);
  const random = createRandom(seed);
  return {
    seed,
    between: (low, high) => low + random() * (high - low),
    oneOf: (items) => items[Math.floor(random() * items.length)] ?? items[0],
  };
}
