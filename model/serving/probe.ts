import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { bundleFiles, type Manifest } from '../../contracts/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import { pixelBytes } from '../images/decode.js';
import { createRandom } from '../seeded-random.js';

const probeSchema = z.object({ probabilities: z.array(z.array(z.number())) });

export const probeImages = 2;
const seed = 2_718_281;
/** Largest difference of a probability between machines that compute the same graph. */
const tolerance = 2e-3;

/** RGB pixels of the pictures every model is asked about before it serves: noise, the same for ever. */
export function probePixels(): Uint8Array {
  const random = createRandom(seed);
  return Uint8Array.from({ length: probeImages * pixelBytes }, () => Math.floor(random() * 256));
}

/** Writes into a bundle what its source model answers to the probe, row by row. */
export async function writeProbe(folder: string, probabilities: readonly (readonly number[])[]): Promise<void> {
  await writeFile(join(folder, bundleFiles.probe), `${JSON.stringify({ probabilities }, null, 2)}\n`);
}

/**
 * Asks a loaded model about the probe and holds its answer against the one in the bundle. A bundle without a probe
 * passes: it comes from before there were any.
 * @throws PerennialError bundle_invalid when it answers something else here than where it was made
 */
export async function checkProbe(
  folder: string,
  manifest: Manifest,
  predictPixels: (pixels: Uint8Array, count: number) => Promise<number[][]>,
): Promise<void> {
  if (!manifest.files.some(({ path }) => path === bundleFiles.probe)) return;
  const expected = probeSchema.parse(JSON.parse(await readFile(join(folder, bundleFiles.probe), 'utf8')));
  const found = await predictPixels(probePixels(), probeImages);
  const difference = largestDifference(expected.probabilities, found);
  if (difference <= tolerance) return;
  throw new PerennialError(
    'bundle_invalid',
    `The model answers its probe other than where it was made: probabilities differ by ${difference.toExponential(1)}, ${tolerance} is allowed. It is not used; promote another version or train again.`,
  );
}

function largestDifference(expected: readonly (readonly number[])[], found: readonly (readonly number[])[]): number {
  const pairs = expected.flatMap((row, image) => row.map((value, at) => Math.abs(value - (found[image]?.[at] ?? NaN))));
  // Not a number must never pass as no difference.
  return pairs.some(Number.isNaN) || expected.length !== found.length ? Infinity : Math.max(...pairs);
}
