import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createHash } from 'node:crypto';
import { runModelJob } from '../../activities/runtime/model-process.js';
import { splits, type Example } from '../../contracts/datasets/datasets.js';
import { hyperparametersSchema, type EpochMetrics, type ModelMetrics } from '../../contracts/training/training.js';
import type { ImageFile, ModelJob, ModelJobResults } from '../../model/jobs.js';
import { shuffledIndices } from '../../model/seeded-random.js';
import { createLogger } from '../../platform/logging.js';
import { imagesBelow } from './images-below.js';
import { printTable, type Figure } from './table.js';

const seeds = [1, 2, 3, 4, 5];
const shares = { train: 0.7, validation: 0.85 };

/**
 * Test accuracy of the transfer model over five seeds, each with a different random split: the product's split is
 * permanent, and one test set of a few dozen images says little about the model.
 */
export async function benchAccuracy(datasetDir: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  try {
    const images = await hashImages(imagesBelow(datasetDir));
    const features = join(folder, 'features.parquet');
    await job({ kind: 'embed', images, outputPath: features });
    const figures: Figure[] = [];
    const accuracies: number[] = [];
    const losses: number[] = [];
    for (const seed of seeds) {
      const { test } = await trainOnSplit(images, features, seed, join(folder, String(seed)));
      accuracies.push(test.accuracy);
      losses.push(test.loss);
      const [low, high] = test.intervals.accuracy.map((bound) => bound.toFixed(3));
      figures.push({
        what: `seed ${seed}`,
        value: `${test.accuracy.toFixed(3)} (${low} to ${high}) on ${test.images} images, loss ${test.loss.toFixed(4)}`,
      });
    }
    figures.push({ what: 'mean', value: spread(accuracies, 3), target: 'at least 0.95' });
    figures.push({ what: 'mean loss', value: spread(losses, 4) });
    printTable('Test accuracy of the transfer model, five random splits', figures);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The mean and the standard deviation. */
function spread(values: readonly number[], digits: number): string {
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const squares = values.reduce((sum, each) => sum + (each - mean) ** 2, 0);
  return `${mean.toFixed(digits)} ± ${Math.sqrt(squares / (values.length - 1)).toFixed(digits)}`;
}

async function trainOnSplit(
  images: ImageFile[],
  features: string,
  seed: number,
  folder: string,
): Promise<ModelMetrics> {
  const hyperparameters = hyperparametersSchema.parse({ seed });
  const examples = splitAtRandom(images, seed);
  const labels = [...new Set(examples.map(({ label }) => label))].sort();
  const common = { hyperparameters, labels, examples, featurePaths: [features], images };
  const epochs: EpochMetrics[] = [];
  const { checkpointPath } = await job(
    { kind: 'train', ...common, checkpointPath: null, outputFolder: folder },
    epochs,
  );
  const about = {
    modelName: 'bench',
    runId: `seed-${seed}`,
    dataset: 'bench',
    datasetVersion: 1,
    datasetDigest: 'none',
    codeRevision: 'bench',
    cacheFolder: join(folder, 'cache'),
  };
  const { metrics } = await job({
    kind: 'package',
    ...common,
    ...about,
    checkpointPath,
    epochs,
    outputFolder: join(folder, 'bundle'),
  });
  return metrics;
}

function splitAtRandom(images: ImageFile[], seed: number): Example[] {
  const labels = [...new Set(images.map(labelOf))].sort();
  return labels.flatMap((label) => {
    const members = images.filter((image) => labelOf(image) === label);
    return shuffledIndices(members.length, seed).map((member, place) => {
      const share = place / members.length;
      const side = share < shares.train ? splits[0] : share < shares.validation ? splits[1] : splits[2];
      return { sha256: members[member]?.sha256 ?? '', label, side };
    });
  });
}

function labelOf({ path }: ImageFile): string {
  return basename(dirname(path));
}

async function hashImages(paths: string[]): Promise<ImageFile[]> {
  return Promise.all(
    paths.map(async (path) => ({
      sha256: createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
      path,
    })),
  );
}

function job<Job extends ModelJob>(what: Job, epochs: EpochMetrics[] = []): Promise<ModelJobResults[Job['kind']]> {
  return runModelJob(what, {
    signal: new AbortController().signal,
    logger: createLogger('bench', 'warn'),
    onEpoch: ({ metrics }) => Promise.resolve(void epochs.push(metrics)),
  });
}
