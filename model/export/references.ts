import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  bundleFiles,
  referencesSchema,
  type FeatureTransform,
  type References,
} from '../../contracts/registry/bundle.js';
import { writeJson } from '../../platform/validation/json-file.js';
import { usesStoredFeatures } from '../architectures/backbone-digest.js';
import { kCenterOrder } from '../features/k-center.js';
import { comparisonVector, distanceToNearest, unitDistance } from '../features/unit-vectors.js';
import type { PackageJob } from '../jobs.js';
import { combineSeeds, shuffledIndices } from '../seeded-random.js';
import type { LabelledRows } from '../training/labelled-rows.js';
import type { Scores } from './score.js';

/** Rows of the coreset that a prediction is compared with: each costs a dot product. */
const coresetSize = 256;
/** Reference rows in a bundle: 20 MB of the backbone's features. */
const mostReferences = 4096;
/** Finds more kinds of other images than comparing features as they are; docs/confidence.md has the figures. */
const transform: FeatureTransform = 'square_root';
/** Share of held-out images that should count as in-distribution, given enough images. */
const inDistributionShare = 0.98;

/** Features of validation images from another precision variant, by row. */
export interface FeaturesOfRows {
  rows: readonly number[];
  features: readonly Float32Array[];
}

/**
 * Writes the training images that predictions are compared with, and the OOD threshold: the distance to the nearest of
 * them that at most 2 % of held-out images exceed.
 */
export async function writeReferences(
  job: PackageJob,
  rows: LabelledRows,
  scores: Scores,
  int8: FeaturesOfRows | null,
): Promise<void> {
  const chosen = chooseRows(job, rows);
  const candidates = chosen.map((row) => comparable(scores.features[row]));
  const order = kCenterOrder(candidates, coresetSize);
  const vectors = order.map((place) => candidates[place] ?? new Float32Array());
  const coreset = vectors.slice(0, coresetSize);
  const toNearest = (feature: Float32Array | undefined): number => distanceToNearest(comparable(feature), coreset);
  const heldOut = rows.splits.validation.map((row) => toNearest(scores.features[row]));
  const fp32 = oodThreshold([...heldOut, ...distancesAmong(coreset, job, rows)]);
  const shiftOf = (row: number, feature: Float32Array | undefined): number =>
    toNearest(feature) - toNearest(scores.features[row]);
  const references: References = {
    dimensions: vectors[0]?.length ?? 0,
    covering: coreset.length,
    images: order.map((place) => {
      const row = chosen[place] ?? 0;
      return { sha256: rows.sha256s[row] ?? '', label: job.labels[rows.truths[row] ?? 0] ?? '' };
    }),
    unfamiliarAbove: {
      fp32: fp32.limit,
      int8: int8 && fp32.limit + mean(int8.rows.map((row, place) => shiftOf(row, int8.features[place]))),
    },
    heldOutShare: fp32.share,
    transform,
  };
  await writeFile(join(job.outputFolder, bundleFiles.references), writeJson(referencesSchema, references, 0));
  await writeFile(join(job.outputFolder, bundleFiles.referenceFeatures), joinVectors(vectors));
}

function comparable(feature: Float32Array = new Float32Array()): Float32Array {
  return comparisonVector(feature, transform);
}

/** All training rows, or a sample of them stratified by class. */
function chooseRows({ labels, hyperparameters }: PackageJob, { splits, truths }: LabelledRows): number[] {
  if (splits.train.length <= mostReferences) return splits.train;
  const kept = mostReferences / splits.train.length;
  return labels.flatMap((_, label) => {
    const members = splits.train.filter((row) => truths[row] === label);
    const most = Math.max(1, Math.floor(members.length * kept));
    return shuffledIndices(members.length, combineSeeds(hyperparameters.seed, label))
      .slice(0, most)
      .map((member) => members[member] ?? 0);
  });
}

/**
 * Distances of training images to their nearest other training image. A frozen backbone was not trained on them, so
 * they count as further held-out images. Only used when the coreset holds all training images: the rows of a smaller
 * coreset lie further apart than the rest.
 */
function distancesAmong(coreset: readonly Float32Array[], job: PackageJob, { splits }: LabelledRows): number[] {
  if (!usesStoredFeatures(job.hyperparameters) || coreset.length < Math.max(splits.train.length, 2)) return [];
  const nearest = new Array<number>(coreset.length).fill(Infinity);
  coreset.forEach((vector, row) => {
    for (let other = 0; other < row; other += 1) {
      const distance = unitDistance(vector, coreset[other] ?? vector);
      nearest[row] = Math.min(nearest[row] ?? Infinity, distance);
      nearest[other] = Math.min(nearest[other] ?? Infinity, distance);
    }
  });
  return nearest;
}

/** The conformal quantile: of n ascending distances, number ⌈(n + 1) × 0.98⌉, or the largest. */
export function oodThreshold(distances: readonly number[]): { limit: number; share: number } {
  const ascending = [...distances].sort((a, b) => a - b);
  const rank = Math.min(ascending.length, Math.ceil((ascending.length + 1) * inDistributionShare));
  return { limit: ascending[rank - 1] ?? 2, share: rank / (ascending.length + 1) };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
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
