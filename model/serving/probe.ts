import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { bundleFiles, type Manifest, type Variant } from '../../contracts/registry/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import { readJson } from '../../platform/validation/json-file.js';
import { pixelBytes } from '../images/decode.js';
import { createRandom } from '../seeded-random.js';

const rowsSchema = z.array(z.array(z.number()));
/** `int8` holds the answers of the int8 network; bundles without one lack it. */
const probeSchema = z.object({ probabilities: rowsSchema, int8: rowsSchema.optional() });

export const probeImages = 2;
const seed = 2_718_281;
/**
 * Largest difference of a probability between machines that run the same graph. It is larger for int8, where kinds of
 * processors differ by a quantization step.
 */
export const runtimeTolerances: Readonly<Record<Variant, number>> = { fp32: 2e-3, int8: 5e-2 };

/** RGB pixels of the probe images that every model must answer before it serves: noise that never changes. */
export function probePixels(): Uint8Array {
  drawn ??= drawProbe();
  return drawn;
}

let drawn: Uint8Array | null = null;

function drawProbe(): Uint8Array {
  const random = createRandom(seed);
  return Uint8Array.from({ length: probeImages * pixelBytes }, () => Math.floor(random() * 256));
}

type Rows = readonly (readonly number[])[];

/** Writes into a bundle how its source model, and its int8 network if it has one, answer the probe, row by row. */
export async function writeProbe(folder: string, probabilities: Rows, int8?: Rows): Promise<void> {
  await writeFile(join(folder, bundleFiles.probe), `${JSON.stringify({ probabilities, int8 }, null, 2)}\n`);
}

/** A loaded network of a bundle. */
export interface ProbedNetwork {
  folder: string;
  manifest: Manifest;
  variant: Variant;
}

/**
 * Runs the probe on a loaded model and compares the answer with the one in the bundle. A bundle without a probe passes:
 * it was made before there were probes.
 * @throws PerennialError bundle_invalid when the answers differ
 */
export async function checkProbe(
  { folder, manifest, variant }: ProbedNetwork,
  predictPixels: (pixels: Uint8Array, count: number) => Promise<number[][]>,
): Promise<void> {
  if (!manifest.files.some(({ path }) => path === bundleFiles.probe)) return;
  const probe = readJson(probeSchema, await readFile(join(folder, bundleFiles.probe), 'utf8'));
  const expected = variant === 'int8' ? (probe.int8 ?? probe.probabilities) : probe.probabilities;
  const difference = largestDifference(expected, await predictPixels(probePixels(), probeImages));
  const tolerance = runtimeTolerances[variant];
  if (difference <= tolerance) return;
  throw new PerennialError(
    'bundle_invalid',
    `The model does not reproduce the probe answers of its bundle: probabilities differ by ${difference.toExponential(1)}, at most ${tolerance} is allowed. It is not used; promote another version or train again.`,
  );
}

function largestDifference(expected: Rows, found: Rows): number {
  const pairs = expected.flatMap((row, image) => row.map((value, at) => Math.abs(value - (found[image]?.[at] ?? NaN))));
  // NaN must not pass as equal.
  return pairs.some(Number.isNaN) || expected.length !== found.length ? Infinity : Math.max(...pairs);
}
