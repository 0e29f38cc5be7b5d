import type { Interval } from '../../contracts/training/training.js';
import { createRandom } from '../seeded-random.js';
import { at } from './prepared.js';

/** Resamples per interval. */
export const resamples = 1000;

/** Draws `images` images with replacement, `resamples` times, and applies `measure` to the counts of each draw. */
export function bootstrap<T>(images: number, seed: number, measure: (counts: Uint32Array) => T): T[] {
  const random = createRandom(seed);
  return Array.from({ length: resamples }, () => {
    const counts = new Uint32Array(images);
    for (let draw = 0; draw < images; draw += 1) {
      const image = Math.floor(random() * images);
      counts[image] = at(counts, image) + 1;
    }
    return measure(counts);
  });
}

/** The 95 % percentile interval of bootstrapped values. */
export function interval(values: readonly number[]): Interval {
  const sorted = Float64Array.from(values).sort();
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}

function quantile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = at(sorted, Math.floor(position));
  return below + (position % 1) * (at(sorted, Math.ceil(position)) - below);
}
