import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import { createCnnWeights } from '../../../../model/architectures/starting-weights.js';
import { assembleNetwork } from '../../../../model/architectures/trained-network.js';
import { openFeatureMemo, type FeatureMemo } from '../../../../model/export/feature-memo.js';
import { withTfjsModel, writeTfjsModel } from '../../../../model/export/tfjs-files.js';
import { pixelBytes } from '../../../../model/images/decode.js';
import { createRandom } from '../../../../model/seeded-random.js';
import { withFolder } from '../../../support/training-fixtures.js';

const features = 16;
const classifierBytes = (features + 1) * 2 * 4;
const random = createRandom(3);
const pixels = Uint8Array.from({ length: 3 * pixelBytes }, () => random() * 256);
const imageAt = (row: number): Uint8Array => pixels.subarray(row * pixelBytes, (row + 1) * pixelBytes);

/** Writes the layers model of a small network, and opens its memo. */
async function withModel(work: (folder: string, open: () => Promise<FeatureMemo>) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const { operations, weights } = await assembleNetwork('cnn', createCnnWeights([8, 12, features], 2, 1));
    await writeTfjsModel(folder, operations, weights);
    await work(folder, () => openFeatureMemo(folder, classifierBytes, join(folder, 'cache')));
  });
}

/** Changes a number in the weights, counted from the end. */
async function changeWeight(folder: string, fromEnd: number): Promise<void> {
  const path = join(folder, bundleFiles.tfjsWeights);
  const bytes = await readFile(path);
  bytes.writeFloatLE(bytes.readFloatLE(bytes.length - fromEnd) + 1, bytes.length - fromEnd);
  await writeFile(path, bytes);
}

describe('features that TF.js gave before', () => {
  it('save it the layers before the classifier, and change no answer', () =>
    withModel(async (folder, open) => {
      const memo = await open();
      const expected = await withTfjsModel(folder, (predict) => predict(pixels, 3));
      await withTfjsModel(folder, (predict) => predict(imageAt(1), 1), memo);
      expect([0, 1, 2].map((row) => memo.of(imageAt(row)) !== undefined)).toEqual([false, true, false]);
      const found = await withTfjsModel(folder, (predict) => predict(pixels, 3), memo);
      expected.probabilities.forEach((value, at) => expect(found.probabilities[at]).toBeCloseTo(value, 5));
      expect(found.features).toHaveLength(3 * features);
      await memo.save();
      const known = await open();
      const never = { of: (image: Uint8Array) => known.of(image), add: () => fail() };
      const again = await withTfjsModel(folder, (predict) => predict(pixels, 3), never);
      expect([...again.features]).toEqual([...found.features]);
    }));

  it('are not used for layers that differ in one weight, and are for another classifier, which is run', () =>
    withModel(async (folder, open) => {
      const memo = await open();
      const before = await withTfjsModel(folder, (predict) => predict(pixels, 3), memo);
      await memo.save();
      await changeWeight(folder, 4);
      const withClassifier = await open();
      expect(withClassifier.of(imageAt(0))).toEqual(memo.of(imageAt(0)));
      const after = await withTfjsModel(folder, (predict) => predict(pixels, 3), withClassifier);
      expect(after.probabilities[1]).not.toBeCloseTo(before.probabilities[1] ?? NaN, 2);
      await changeWeight(folder, classifierBytes + 4);
      expect((await open()).of(imageAt(0))).toBeUndefined();
    }));

  it('are computed again when their file is damaged, and are few', () =>
    withModel(async (folder, open) => {
      const memo = await open();
      for (let value = 0; value < 100; value += 1) memo.add(Uint8Array.of(value), Float32Array.of(value));
      await memo.save();
      const known = await open();
      const kept = Array.from({ length: 100 }, (_, value) => known.of(Uint8Array.of(value)));
      expect(kept.at(-1)).toEqual(Float32Array.of(99));
      expect(kept.filter((each) => each !== undefined).length).toBeLessThan(100);
      await writeFile(join(folder, 'cache', 'tfjs-features.json'), '[[');
      expect((await open()).of(Uint8Array.of(99))).toBeUndefined();
    }));
});

function fail(): never {
  throw new Error('The layers ran again.');
}
