import { PerennialError } from '../../contracts/errors.js';
import { decodeBatches } from '../features/decode-batches.js';
import { pixelBytes } from '../images/decode.js';
import type { PackageJob } from '../jobs.js';
import { createRandom } from '../seeded-random.js';
import type { LabelledRows } from '../training/labelled-rows.js';
import type { ParitySample } from './parity.js';
import type { Scores } from './score.js';

const photographs = 12;
const noises = 4;

/** Images to compare runtimes on: photographs, preferably of the test split, and noise. */
export async function drawParitySample(job: PackageJob, rows: LabelledRows, scores: Scores): Promise<ParitySample> {
  const isTest = new Set(rows.splits.test.map((row) => rows.sha256s[row]));
  const chosen = [...job.images]
    .sort((a, b) => Number(isTest.has(b.sha256)) - Number(isTest.has(a.sha256)) || (a.sha256 < b.sha256 ? -1 : 1))
    .slice(0, photographs);
  if (chosen.length === 0) {
    throw new PerennialError(
      'bad_request',
      'Packaging needs the files of some test images; the job lists none. Add them to the job.',
    );
  }
  const pixels = new Uint8Array((chosen.length + noises) * pixelBytes);
  for await (const batch of decodeBatches(chosen, photographs)) pixels.set(batch.pixels);
  const random = createRandom(noises);
  for (let at = chosen.length * pixelBytes; at < pixels.length; at++) pixels[at] = Math.floor(random() * 256);
  const rowOf = new Map(rows.sha256s.map((sha256, row) => [sha256, row]));
  return {
    pixels,
    count: chosen.length + noises,
    knownFeatures: chosen.map(({ sha256 }) => scores.features[rowOf.get(sha256) ?? -1] ?? new Float32Array()),
  };
}
