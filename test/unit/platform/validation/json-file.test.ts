import { bundleFiles, driftReferenceSchema, manifestSchema } from '../../../../contracts/registry/bundle.js';
import { modelMetricsSchema } from '../../../../contracts/training/training.js';
import { readJson, writeJson } from '../../../../platform/validation/json-file.js';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyBundle } from '../../../../model/serving/verify-bundle.js';
import { writeTinyBundle } from '../../../support/tiny-bundle.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const folder = temporaryFolder();

const reference = {
  images: 2,
  classShares: { roseBud: 0.5, rose_bud: 0.5 },
  featureMean: [1],
  featureStandardDeviation: [0.5],
};

describe('a JSON file for download', () => {
  it('spells names as the API does, and class labels as people do', () => {
    expect(JSON.parse(writeJson(driftReferenceSchema, reference))).toEqual({
      images: 2,
      class_shares: { roseBud: 0.5, rose_bud: 0.5 },
      feature_mean: [1],
      feature_standard_deviation: [0.5],
    });
  });

  it('is read as it was written, also by earlier releases', () => {
    expect(readJson(driftReferenceSchema, writeJson(driftReferenceSchema, reference))).toEqual(reference);
    expect(readJson(driftReferenceSchema, JSON.stringify(reference))).toEqual(reference);
  });

  it('that is damaged is described in sentences with the names in the file', () => {
    const read = (text: string): unknown => readJson(driftReferenceSchema, text);
    expect(() => read('{"images": 2, "class_shares": {}, "feature_mean": ["a"]}')).toThrow(
      '`feature_mean[0]` must be a number, not a text. `feature_standard_deviation` is missing. Send a list.',
    );
    expect(() => read('[]')).toThrow('The file must be an object, not a list.');
  });

  it('of a bundle of an earlier release, in camelCase, is verified and read', async () => {
    const manifest = { ...(await writeTinyBundle(folder)), format: 'perennial-bundle/1' };
    await writeFile(join(folder, bundleFiles.manifest), JSON.stringify(manifest));
    expect(await verifyBundle(folder)).toEqual(manifest);
    const metrics = readJson(modelMetricsSchema, await readFile(join(folder, bundleFiles.metrics), 'utf8'));
    expect(readJson(modelMetricsSchema, JSON.stringify(metrics))).toEqual(metrics);
    expect(writeJson(manifestSchema, manifestSchema.parse(manifest))).toContain('"batch_size": 1');
  });
});
