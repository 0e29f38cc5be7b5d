import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { splits, type Example, type Split } from '../../contracts/datasets/datasets.js';
import { hyperparametersSchema, type Hyperparameters } from '../../contracts/training/training.js';
import { backboneFeatures } from '../../model/architectures/backbone-digest.js';
import { createFeatureWriter } from '../../model/features/feature-file.js';
import { drawSyntheticImage, syntheticLabels } from '../../model/images/synthetic.js';
import type { EpochEvent, ImageFile, JobEvents, TrainJob } from '../../model/jobs.js';
import { createRandom } from '../../model/seeded-random.js';

/** The folder of photographs for tests, if there is one. */
export const photographsFolder = process.env['DATASET_DIR'] ?? '';

/** Runs the test only with photographs, and prints a note without them. */
export function testOnPhotographs(name: string, work: () => Promise<void>): void {
  if (photographsFolder === '') it.skip(`${name} (set DATASET_DIR to run this)`, () => undefined);
  else it(name, work);
}

/** A folder that is removed after the test. */
export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-model-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Job events that are only collected in `epochs`. */
export function collectEvents(): JobEvents & { epochs: EpochEvent[] } {
  const epochs: EpochEvent[] = [];
  return {
    epochs,
    onProgress: () => undefined,
    onEpoch: (event) => {
      epochs.push(event);
      return Promise.resolve();
    },
  };
}

export function sha256Of(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The split of the nth image of a class: about 70 % train, 15 % validation, 15 % test. */
function splitOf(index: number, perClass: number): Split {
  const place = (index + 0.5) / perClass;
  return place < 0.7 ? splits[0] : place < 0.86 ? splits[1] : splits[2];
}

/**
 * Examples with generated embeddings in a feature file: the classes differ in the mean of a few values, so that they can be
 * learnt with some errors.
 */
export async function createFeatureSet(
  folder: string,
  options: { labels?: string[]; perClass?: number; distance?: number; hyperparameters?: Partial<Hyperparameters> } = {},
): Promise<Omit<TrainJob, 'checkpointPath' | 'outputFolder'>> {
  const { labels = ['dandelion', 'grass'], perClass = 40, distance = 0.5, hyperparameters = {} } = options;
  const random = createRandom(7);
  const examples: Example[] = [];
  const embeddings: Float32Array[] = [];
  labels.forEach((label, truth) => {
    for (let index = 0; index < perClass; index++) {
      examples.push({ sha256: sha256Of(`${label} ${index}`), label, side: splitOf(index, perClass) });
      embeddings.push(
        Float32Array.from(
          { length: backboneFeatures },
          (_, at) => random() + (at % labels.length === truth && at < 40 ? distance : 0),
        ),
      );
    }
  });
  const path = join(folder, 'features.parquet');
  const writer = createFeatureWriter(path, 'efficientnet-lite0');
  writer.write(
    examples.map(({ sha256 }) => sha256),
    embeddings,
  );
  await writer.close();
  return {
    kind: 'train',
    hyperparameters: hyperparametersSchema.parse(hyperparameters),
    labels,
    examples,
    featurePaths: [path],
    images: [],
  };
}

/** Drawn images of both classes as files, with their examples. */
export async function createImageSet(
  folder: string,
  perClass: number,
  hyperparameters: Partial<Hyperparameters>,
): Promise<Omit<TrainJob, 'checkpointPath' | 'outputFolder'>> {
  const images: ImageFile[] = [];
  const examples: Example[] = [];
  await mkdir(join(folder, 'images'), { recursive: true });
  for (const label of syntheticLabels) {
    for (let index = 0; index < perClass; index++) {
      const bytes = await drawSyntheticImage(label, index);
      const sha256 = sha256Of(bytes);
      const path = join(folder, 'images', sha256);
      await writeFile(path, bytes);
      images.push({ sha256, path });
      examples.push({ sha256, label, side: splitOf(index, perClass) });
    }
  }
  return {
    kind: 'train',
    hyperparameters: hyperparametersSchema.parse(hyperparameters),
    labels: [...syntheticLabels],
    examples,
    featurePaths: [],
    images,
  };
}

/** The first photographs of each class folder of DATASET_DIR. */
export async function listPhotographs(perClass: number): Promise<{ label: string; image: ImageFile }[]> {
  const classes = await readdir(photographsFolder, { withFileTypes: true });
  const found: { label: string; image: ImageFile }[] = [];
  for (const { name } of classes.filter((entry) => entry.isDirectory()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const files = (await readdir(join(photographsFolder, name))).sort().slice(0, perClass);
    for (const file of files) {
      const path = join(photographsFolder, name, file);
      found.push({ label: name, image: { sha256: sha256Of(await readFile(path)), path } });
    }
  }
  return found;
}
