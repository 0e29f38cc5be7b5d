import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { bundleFiles, referencesSchema, type Calibration } from '../../../contracts/registry/bundle.js';
import { splits, type Example } from '../../../contracts/datasets/datasets.js';
import { hyperparametersSchema, type Hyperparameters } from '../../../contracts/training/training.js';
import { chooseAbstention } from '../../../domain/predictions/abstention.js';
import { assembleNetwork } from '../../../model/architectures/trained-network.js';
import { softmax } from '../../../model/evaluation/temperature.js';
import { measureReliability } from '../../../model/evaluation/reliability.js';
import { measureModel } from '../../../model/export/measure-model.js';
import { writeReferences } from '../../../model/export/references.js';
import { scoreExamples } from '../../../model/export/score.js';
import { embedImages } from '../../../model/features/embed.js';
import { readFeatures } from '../../../model/features/feature-file.js';
import { distanceToNearest, unitVector } from '../../../model/features/unit-vectors.js';
import type { PackageJob } from '../../../model/jobs.js';
import { shuffledIndices } from '../../../model/seeded-random.js';
import { readCheckpoint } from '../../../model/training/checkpoint.js';
import { orderExamples } from '../../../model/training/labelled-rows.js';
import { trainModel } from '../../../model/training/train-job.js';
import { readJson } from '../../../platform/validation/json-file.js';
import {
  collectEvents,
  listPhotographs,
  sha256Of,
  testOnPhotographs,
  withFolder,
} from '../../support/training-fixtures.js';

const seeds = [0, 1, 2, 3, 4, 5];

/** Photographs with their features, and pages of text as out-of-distribution images. */
interface Pictures {
  folder: string;
  photographs: { label: string; sha256: string }[];
  features: string;
  pages: Float32Array[];
}

interface TestAnswers {
  calibration: Calibration;
  logits: number[][];
  truths: number[];
  /** Shares of the test photographs and of the pages that are unlike the training images. */
  unfamiliar: { photographs: number; pages: number };
}

/** Answers of all splits taken together: one test side is a few dozen images. */
function pool(splits: readonly TestAnswers[], scaled: boolean): { probabilities: number[][]; truths: number[] } {
  return {
    probabilities: splits.flatMap(({ logits, calibration }) =>
      logits.map((row) => softmax(row, scaled ? calibration.temperature : 1)),
    ),
    truths: splits.flatMap(({ truths }) => truths),
  };
}

function errorOf(splits: readonly TestAnswers[], scaled: boolean): number {
  const { probabilities, truths } = pool(splits, scaled);
  return measureReliability(probabilities, truths).calibrationError;
}

/** Share of wrong answers among those that are given at a target risk, over all splits, and the share that is given. */
function selectiveRisk(splits: readonly TestAnswers[], target: number): { risk: number; coverage: number } {
  const outcomes = splits.flatMap(({ calibration, logits, truths }) => {
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

async function drawPages(folder: string): Promise<{ sha256: string; path: string }[]> {
  return Promise.all(
    Array.from({ length: 20 }, async (_, page) => {
      const lines = Array.from(
        { length: 14 },
        (_line, line) => `<text x="10" y="${25 + line * 27}" font-size="18">Item ${page * 97 + line} of a list</text>`,
      );
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="400" height="400"><rect width="400" height="400" fill="#fff"/>${lines.join('')}</svg>`;
      const path = join(folder, `page-${page}.png`);
      await sharp(Buffer.from(svg)).png().toFile(path);
      return { sha256: sha256Of(await readFile(path)), path };
    }),
  );
}

async function preparePictures(folder: string): Promise<Pictures> {
  const listed = await listPhotographs(150);
  const pages = await drawPages(folder);
  const outputPath = join(folder, 'features.parquet');
  const images = [...listed.map(({ image }) => image), ...pages];
  await embedImages({ kind: 'embed', images, outputPath, batchSize: 16 }, collectEvents());
  const matrix = await readFeatures(
    [outputPath],
    pages.map(({ sha256 }) => sha256),
  );
  const width = matrix.length / pages.length;
  return {
    folder,
    photographs: listed.map(({ label, image }) => ({ label, sha256: image.sha256 })),
    features: outputPath,
    pages: pages.map((_, page) => matrix.slice(page * width, (page + 1) * width)),
  };
}

function splitAtRandom({ photographs }: Pictures, seed: number): Example[] {
  return shuffledIndices(photographs.length, seed).flatMap((index, place) => {
    const photograph = photographs[index];
    const share = place / photographs.length;
    const side = share < 0.7 ? splits[0] : share < 0.85 ? splits[1] : splits[2];
    return photograph ? [{ ...photograph, side }] : [];
  });
}

async function learn(pictures: Pictures, seed: number, changed: Partial<Hyperparameters>): Promise<TestAnswers> {
  const labels = [...new Set(pictures.photographs.map(({ label }) => label))].sort();
  const examples = splitAtRandom(pictures, seed);
  const common = { hyperparameters: hyperparametersSchema.parse({ seed, ...changed }), labels, examples };
  const outputFolder = pictures.folder;
  const training = { ...common, featurePaths: [pictures.features], images: [], outputFolder };
  const { checkpointPath } = await trainModel({ ...training, kind: 'train', checkpointPath: null }, collectEvents());
  const about = { modelName: 'flowers', runId: 'run', dataset: 'd', datasetVersion: 1, datasetDigest: '' };
  const job: PackageJob = { ...training, ...about, kind: 'package', checkpointPath, epochs: [], codeRevision: '' };
  const checkpoint = await readCheckpoint(checkpointPath);
  const network = await assembleNetwork('efficientnet-lite0', checkpoint.bestWeights);
  const rows = orderExamples(examples, labels);
  const scores = await scoreExamples(job, network, rows.sha256s, collectEvents());
  const { calibration } = await measureModel(job, rows, scores, checkpoint);
  await writeReferences(job, rows, scores, null);
  const { test } = rows.splits;
  const tested = test.map((row) => scores.features[row] ?? new Float32Array());
  return {
    calibration,
    logits: test.map((row) => scores.logits[row] ?? []),
    truths: test.map((row) => rows.truths[row] ?? -1),
    unfamiliar: await shareUnfamiliar(outputFolder, tested, pictures.pages),
  };
}

async function shareUnfamiliar(
  folder: string,
  photographs: readonly Float32Array[],
  pages: readonly Float32Array[],
): Promise<TestAnswers['unfamiliar']> {
  const written = await readFile(join(folder, bundleFiles.references), 'utf8');
  const { covering, dimensions, unfamiliarAbove } = readJson(referencesSchema, written);
  const bytes = await readFile(join(folder, bundleFiles.referenceFeatures));
  const vectors = Array.from({ length: covering }, (_, row) =>
    Float32Array.from({ length: dimensions }, (_value, column) => bytes.readFloatLE((row * dimensions + column) * 4)),
  );
  const share = (features: readonly Float32Array[]): number =>
    features.filter((feature) => distanceToNearest(unitVector(feature), vectors) > unfamiliarAbove.fp32).length /
    features.length;
  return { photographs: share(photographs), pages: share(pages) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('the confidence of a classifier of photographs', () => {
  testOnPhotographs(
    'is no further from the truth for its calibration, lowers the risk, and knows what is foreign',
    () =>
      withFolder(async (folder) => {
        const pictures = await preparePictures(folder);
        const careful: TestAnswers[] = [];
        const rash: TestAnswers[] = [];
        for (const seed of seeds) {
          careful.push(await learn(pictures, seed, {}));
          // A classifier trained for long at a high rate is overconfident.
          rash.push(await learn(pictures, seed, { learningRate: 0.05, earlyStoppingPatience: 40, weightDecay: 0 }));
        }
        expect(errorOf(careful, true)).toBeLessThan(errorOf(careful, false) + 0.005);
        expect(errorOf(rash, true)).toBeLessThan(errorOf(rash, false));

        const always = selectiveRisk(careful, 1);
        const often = selectiveRisk(careful, 0.02);
        expect(always.coverage).toBe(1);
        expect(often.coverage).toBeGreaterThan(0.7);
        expect(often.risk).toBeLessThan(always.risk);

        expect(mean(careful.map(({ unfamiliar }) => unfamiliar.photographs))).toBeLessThan(0.06);
        expect(mean(careful.map(({ unfamiliar }) => unfamiliar.pages))).toBeGreaterThan(0.7);
      }),
  );
});
