import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { splits, type Example } from '../../contracts/datasets/datasets.js';
import { bundleFiles, referencesSchema, type Calibration } from '../../contracts/registry/bundle.js';
import { hyperparametersSchema, type Hyperparameters } from '../../contracts/training/training.js';
import { chooseAbstention } from '../../domain/predictions/abstention.js';
import { assembleNetwork } from '../../model/architectures/trained-network.js';
import { measureModel } from '../../model/export/measure-model.js';
import { writeReferences } from '../../model/export/references.js';
import { scoreExamples } from '../../model/export/score.js';
import { measureReliability } from '../../model/evaluation/reliability.js';
import { softmax } from '../../model/evaluation/temperature.js';
import { embedImages } from '../../model/features/embed.js';
import { readFeatures } from '../../model/features/feature-file.js';
import type { ImageFile, PackageJob } from '../../model/jobs.js';
import { shuffledIndices } from '../../model/seeded-random.js';
import { nearest } from '../../model/serving/nearest.js';
import { readCheckpoint } from '../../model/training/checkpoint.js';
import { orderExamples } from '../../model/training/labelled-rows.js';
import { trainModel } from '../../model/training/train-job.js';
import { readJson } from '../../platform/validation/json-file.js';
import type { ForeignPicture } from './foreign-pictures.js';
import { collectEvents } from './training-fixtures.js';

/** Photographs and, by kind, other pictures. */
export interface Pictures {
  folder: string;
  photographs: { label: string; image: ImageFile }[];
  /** The features of all, in a file and by SHA-256. */
  featurePath: string;
  features: ReadonlyMap<string, Float32Array>;
  others: ReadonlyMap<string, readonly ForeignPicture[]>;
}

export interface Answers {
  logits: number[][];
  truths: number[];
}

/** A trained classifier and what it answers for images it was not trained on. */
export interface Learnt {
  calibration: Calibration;
  validation: Answers;
  test: Answers;
  /** Share of pictures that are out-of-distribution: of the test photographs, and by kind. */
  outOfDistribution: { photographs: number; others: Map<string, number> };
}

/** Computes the features of photographs and of other pictures, which are made of these photographs or drawn. */
export async function preparePictures(
  folder: string,
  photographs: Pictures['photographs'],
  others: Pictures['others'],
): Promise<Pictures> {
  const featurePath = join(folder, 'features.parquet');
  const images = [...photographs.map(({ image }) => image), ...[...others.values()].flat()];
  await embedImages({ kind: 'embed', images, outputPath: featurePath }, collectEvents());
  const sha256s = images.map(({ sha256 }) => sha256);
  const matrix = await readFeatures([featurePath], sha256s);
  const width = matrix.length / sha256s.length;
  const features = new Map(sha256s.map((sha256, row) => [sha256, matrix.subarray(row * width, (row + 1) * width)]));
  return { folder, photographs, featurePath, features, others };
}

/** Trains on a random split, and measures as packaging does. */
export async function learn(pictures: Pictures, seed: number, changed: Partial<Hyperparameters> = {}): Promise<Learnt> {
  const labels = [...new Set(pictures.photographs.map(({ label }) => label))].sort();
  const examples = splitAtRandom(pictures, seed);
  const common = { hyperparameters: hyperparametersSchema.parse({ seed, ...changed }), labels, examples };
  const outputFolder = pictures.folder;
  const training = { ...common, featurePaths: [pictures.featurePath], images: [], outputFolder };
  const { checkpointPath } = await trainModel({ ...training, kind: 'train', checkpointPath: null }, collectEvents());
  const about = { modelName: 'flowers', runId: 'run', dataset: 'd', datasetVersion: 1, datasetDigest: '' };
  const job: PackageJob = {
    ...training,
    ...about,
    kind: 'package',
    checkpointPath,
    epochs: [],
    codeRevision: '',
    cacheFolder: '',
  };
  const checkpoint = await readCheckpoint(checkpointPath);
  const network = await assembleNetwork('efficientnet-lite0', checkpoint.bestWeights);
  const rows = orderExamples(examples, labels);
  const scores = await scoreExamples(job, network, rows.sha256s, collectEvents());
  const { calibration } = await measureModel(job, rows, scores, checkpoint);
  await writeReferences(job, rows, scores, null);
  const answersOf = (split: readonly number[]): Answers => ({
    logits: split.map((row) => scores.logits[row] ?? []),
    truths: split.map((row) => rows.truths[row] ?? -1),
  });
  return {
    calibration,
    validation: answersOf(rows.splits.validation),
    test: answersOf(rows.splits.test),
    outOfDistribution: await measureOutOfDistribution(
      pictures,
      new Set(rows.splits.test.map((row) => rows.sha256s[row] ?? '')),
    ),
  };
}

function splitAtRandom({ photographs }: Pictures, seed: number): Example[] {
  return shuffledIndices(photographs.length, seed).flatMap((index, place) => {
    const photograph = photographs[index];
    const share = place / photographs.length;
    const side = share < 0.7 ? splits[0] : share < 0.85 ? splits[1] : splits[2];
    return photograph ? [{ label: photograph.label, sha256: photograph.image.sha256, side }] : [];
  });
}

/** Only what was not trained on counts: pictures that were drawn, and test photographs with what was made from them. */
async function measureOutOfDistribution(
  { folder, features, others }: Pictures,
  test: ReadonlySet<string>,
): Promise<Learnt['outOfDistribution']> {
  const isOutside = await readOutOfDistribution(folder);
  const shareOf = (sha256s: readonly string[]): number =>
    mean(sha256s.map((sha256) => Number(isOutside(features.get(sha256) ?? new Float32Array()))));
  const counted = (pictures: readonly ForeignPicture[]): readonly ForeignPicture[] =>
    pictures.filter(({ madeFrom }) => madeFrom === undefined || test.has(madeFrom));
  return {
    photographs: shareOf([...test]),
    others: new Map(
      [...others].map(([kind, pictures]) => [kind, shareOf(counted(pictures).map(({ sha256 }) => sha256))]),
    ),
  };
}

/** How a bundle with the references in a folder judges features. */
async function readOutOfDistribution(folder: string): Promise<(feature: Float32Array) => boolean> {
  const written = await readFile(join(folder, bundleFiles.references), 'utf8');
  const { covering, dimensions, images, transform, unfamiliarAbove } = readJson(referencesSchema, written);
  const bytes = await readFile(join(folder, bundleFiles.referenceFeatures));
  const features = Float32Array.from({ length: images.length * dimensions }, (_, at) => bytes.readFloatLE(at * 4));
  const references = { features, dimensions, coresetRows: covering, rows: images.length, transform };
  return (feature) => (nearest(feature, references)[0]?.distance ?? Infinity) > unfamiliarAbove.fp32;
}

/** Share of wrong answers among those that are given at a target risk, over all splits, and the share that is given. */
export function selectiveRisk(learnt: readonly Learnt[], target: number): { risk: number; coverage: number } {
  const outcomes = learnt.flatMap(({ calibration, test: { logits, truths } }) => {
    const threshold = chooseAbstention(calibration.riskCurve, target).threshold ?? 0;
    return logits.map((row, image) => {
      const probabilities = softmax(row, calibration.temperature);
      const confidence = Math.max(...probabilities);
      return { isGiven: confidence >= threshold, isWrong: probabilities.indexOf(confidence) !== truths[image] };
    });
  });
  const given = outcomes.filter(({ isGiven }) => isGiven);
  return {
    risk: given.filter(({ isWrong }) => isWrong).length / given.length,
    coverage: given.length / outcomes.length,
  };
}

/** Calibration error of the answers of all splits taken together: one test split is a few dozen images. */
export function pooledError(learnt: readonly Learnt[], temperatureOf: (learnt: Learnt) => number): number {
  return measureReliability(
    learnt.flatMap((one) => one.test.logits.map((row) => softmax(row, temperatureOf(one)))),
    learnt.flatMap(({ test }) => test.truths),
  ).calibrationError;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
