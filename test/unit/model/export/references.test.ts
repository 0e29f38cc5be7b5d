import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, referencesSchema, type References } from '../../../../contracts/registry/bundle.js';
import { hyperparametersSchema } from '../../../../contracts/training/training.js';
import { oodThreshold, writeReferences, type FeaturesOfRows } from '../../../../model/export/references.js';
import { comparisonVector } from '../../../../model/features/unit-vectors.js';
import type { PackageJob } from '../../../../model/jobs.js';
import { createRandom } from '../../../../model/seeded-random.js';
import { readJson } from '../../../../platform/validation/json-file.js';
import { withFolder } from '../../../support/training-fixtures.js';

interface Fixture {
  train: number;
  validation: number;
  architecture?: 'cnn' | 'efficientnet-lite0';
  int8?: (features: readonly Float32Array[]) => FeaturesOfRows;
}

interface Written {
  references: References;
  vectors: Float32Array[];
  features: Float32Array[];
}

/** Writes the references of `train` training and `validation` validation images of made-up features. */
async function write(folder: string, { train, validation, architecture = 'cnn', int8 }: Fixture): Promise<Written> {
  const random = createRandom(5);
  const features = Array.from({ length: train + validation }, () =>
    Float32Array.from({ length: 4 }, () => 0.2 + random()),
  );
  const rows = features.map((_, row) => row);
  const job: PackageJob = {
    kind: 'package',
    modelName: 'flowers',
    runId: 'run-1',
    hyperparameters: hyperparametersSchema.parse({ architecture }),
    labels: ['a', 'b'],
    examples: [],
    featurePaths: [],
    images: [],
    checkpointPath: '',
    epochs: [],
    dataset: 'meadow',
    datasetVersion: 3,
    datasetDigest: 'digest',
    codeRevision: 'abc',
    cacheFolder: '',
    outputFolder: folder,
  };
  const labelled = {
    sha256s: rows.map((row) => `image ${row}`),
    // One of ten is an a.
    truths: rows.map((row) => (row % 10 === 0 ? 0 : 1)),
    splits: { train: rows.slice(0, train), validation: rows.slice(train), test: [] },
  };
  const scores = { matrix: new Float32Array(), features, logits: [] };
  await writeReferences(job, labelled, scores, int8?.(features) ?? null);
  const references = readJson(referencesSchema, await readFile(join(folder, bundleFiles.references), 'utf8'));
  const bytes = await readFile(join(folder, bundleFiles.referenceFeatures));
  const vectors = references.images.map((_, row) =>
    Float32Array.from({ length: 4 }, (_value, column) => bytes.readFloatLE((row * 4 + column) * 4)),
  );
  expect(bytes).toHaveLength(references.images.length * 16);
  return { references, vectors, features };
}

describe('the references of a bundle', () => {
  it('are all training images as unit vectors of square roots, and none that was held out', () =>
    withFolder(async (folder) => {
      const { references, vectors, features } = await write(folder, { train: 20, validation: 5 });
      expect(references).toMatchObject({ dimensions: 4, covering: 20, transform: 'square_root' });
      expect(references.images.map(({ sha256 }) => sha256).sort()).toEqual(
        Array.from({ length: 20 }, (_, row) => `image ${row}`).sort(),
      );
      references.images.forEach(({ sha256, label }, place) => {
        const row = Number(sha256.split(' ')[1]);
        expect(label).toBe(row % 10 === 0 ? 'a' : 'b');
        expect(vectors[place]).toEqual(comparisonVector(features[row] ?? new Float32Array(), 'square_root'));
      });
    }));

  it('are at most 4096, each class with its share, of which 256 cover the rest', () =>
    withFolder(async (folder) => {
      const { references } = await write(folder, { train: 6000, validation: 5 });
      expect(references.covering).toBe(256);
      expect(references.images.length).toBeLessThanOrEqual(4096);
      expect(references.images.length).toBeGreaterThan(4090);
      const ofA = references.images.filter(({ label }) => label === 'a').length / references.images.length;
      expect(ofA).toBeCloseTo(0.1, 3);
    }));

  it('count the distances among training images where the backbone was not trained on them', () =>
    withFolder(async (folder) => {
      const own = await write(folder, { train: 100, validation: 5 });
      expect(own.references.heldOutShare).toBeCloseTo(5 / 6, 10);
      const backbone = await write(folder, { train: 100, validation: 5, architecture: 'efficientnet-lite0' });
      expect(backbone.references.heldOutShare).toBeCloseTo(104 / 106, 10);
      const many = await write(folder, { train: 300, validation: 5, architecture: 'efficientnet-lite0' });
      expect(many.references.heldOutShare).toBeCloseTo(5 / 6, 10);
    }));

  it('shift the threshold of int8 by its mean shift of held-out images', () =>
    withFolder(async (folder) => {
      const rows = [20, 21, 22];
      const same = await write(folder, {
        train: 20,
        validation: 5,
        int8: (features) => ({ rows, features: rows.map((row) => features[row] ?? new Float32Array()) }),
      });
      expect(same.references.unfamiliarAbove.int8).toBeCloseTo(same.references.unfamiliarAbove.fp32, 10);
      const moved = await write(folder, {
        train: 20,
        validation: 5,
        int8: () => ({ rows, features: rows.map(() => Float32Array.of(1, 0, 0, 0)) }),
      });
      expect(moved.references.unfamiliarAbove.int8).toBeGreaterThan(moved.references.unfamiliarAbove.fp32 + 0.1);
      expect((await write(folder, { train: 20, validation: 5 })).references.unfamiliarAbove.int8).toBeNull();
    }));
});

describe('the OOD threshold', () => {
  it('is the largest distance of a few images, and the 98 % quantile of many', () => {
    expect(oodThreshold([0.3, 0.9, 0.5])).toEqual({ limit: 0.9, share: 3 / 4 });
    const many = Array.from({ length: 199 }, (_, index) => index);
    expect(oodThreshold(many)).toEqual({ limit: 195, share: 0.98 });
  });
});
