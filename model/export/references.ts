import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, type References } from '../../contracts/bundle.js';
import { coverRows } from '../features/cover-rows.js';
import { distancesToNearest, unitVector } from '../features/unit-vectors.js';
import type { PackageJob } from '../jobs.js';
import { combineSeeds, shuffledIndices } from '../seeded-random.js';
import type { LabelledRows } from '../training/labelled-rows.js';
import type { Scores } from './score.js';

/** Rows that a prediction is compared with: each costs a dot product. */
const mostCovering = 256;
/** Rows of a bundle: 20 MB of the backbone's features. */
const mostReferences = 4096;
/** Share of held-out images that shall count as familiar, where they are enough to tell. */
const familiarShare = 0.99;

/** Features of held-out images as a form of the network gives them. */
export interface HeldOutFeatures {
  features: readonly Float32Array[];
}

/**
 * Writes the training images a prediction is compared with, and the distance from which a picture is unlike all of
 * them: one that held-out images have no more often than one time in a hundred, or none of them has when they are few.
 */
export async function writeReferences(
  job: PackageJob,
  rows: LabelledRows,
  scores: Scores,
  int8: HeldOutFeatures | null,
): Promise<void> {
  const chosen = chooseRows(job, rows);
  const candidates = chosen.map((row) => unitVector(scores.features[row] ?? new Float32Array()));
  const order = coverRows(candidates, mostCovering);
  const vectors = order.map((place) => candidates[place] ?? new Float32Array());
  const covering = vectors.slice(0, mostCovering);
  const validation = rows.sides.validation.map((row) => scores.features[row] ?? new Float32Array());
  const fp32 = familiarLimit(distancesToNearest(validation.map(unitVector), covering));
  const references: References = {
    dimensions: vectors[0]?.length ?? 0,
    covering: covering.length,
    images: order.map((place) => {
      const row = chosen[place] ?? 0;
      return { sha256: rows.sha256s[row] ?? '', label: job.labels[rows.truths[row] ?? 0] ?? '' };
    }),
    unfamiliarAbove: {
      fp32: fp32.limit,
      int8: int8 && familiarLimit(distancesToNearest(int8.features.map(unitVector), covering)).limit,
    },
    heldOutShare: fp32.share,
  };
  await writeFile(join(job.outputFolder, bundleFiles.references), `${JSON.stringify(references)}\n`);
  await writeFile(join(job.outputFolder, bundleFiles.referenceFeatures), joinVectors(vectors));
}

/** All training rows, or as many of each class as its share of them allows. */
function chooseRows({ labels, hyperparameters }: PackageJob, { sides, truths }: LabelledRows): number[] {
  if (sides.train.length <= mostReferences) return sides.train;
  const kept = mostReferences / sides.train.length;
  return labels.flatMap((_, label) => {
    const members = sides.train.filter((row) => truths[row] === label);
    const most = Math.max(1, Math.floor(members.length * kept));
    return shuffledIndices(members.length, combineSeeds(hyperparameters.seed, label))
      .slice(0, most)
      .map((member) => members[member] ?? 0);
  });
}

/** The conformal quantile: with n images, the (n + 1) × 99 % th of their distances, or the largest. */
export function familiarLimit(distances: readonly number[]): { limit: number; share: number } {
  const ascending = [...distances].sort((a, b) => a - b);
  const rank = Math.min(ascending.length, Math.ceil((ascending.length + 1) * familiarShare));
  return { limit: ascending[rank - 1] ?? 2, share: rank / (ascending.length + 1) };
}

function joinVectors(vectors: readonly Float32Array[]): Uint8Array {
  const dimensions = vectors[0]?.length ?? 0;
  const bytes = new DataView(new ArrayBuffer(vectors.length * dimensions * Float32Array.BYTES_PER_ELEMENT));
  vectors.forEach((vector, row) => {
    vector.forEach((value, column) => {
      bytes.setFloat32((row * dimensions + column) * Float32Array.BYTES_PER_ELEMENT, value, true);
    });
  });
  return new Uint8Array(bytes.buffer);
}
