import { mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import { createCnnWeights, createClassifierWeights } from '../../../../model/architectures/starting-weights.js';
import { assembleNetwork } from '../../../../model/architectures/trained-network.js';
import { backboneFeatures } from '../../../../model/architectures/backbone-digest.js';
import { encodeOnnx } from '../../../../model/export/onnx-graph.js';
import { writeTfjsModel } from '../../../../model/export/tfjs-files.js';
import { importModel } from '../../../../model/import/import-job.js';
import { withFolder } from '../../../support/training-fixtures.js';
import { importJobOf, writeUploads } from '../../../support/uploaded-models.js';

const classes = 3;
const networks = {
  'efficientnet-lite0': () =>
    assembleNetwork('efficientnet-lite0', createClassifierWeights(backboneFeatures, classes, 1)),
  cnn: () => assembleNetwork('cnn', createCnnWeights([4, 8, 8], classes, 1)),
};

describe.each(['efficientnet-lite0', 'cnn'] as const)('what Perennial itself exports of %s', (architecture) => {
  it('is accepted as TF.js, with the same outputs', () =>
    withFolder(async (folder) => {
      const { operations, weights } = await networks[architecture]();
      const exported = join(folder, 'exported');
      await mkdir(exported);
      await writeTfjsModel(exported, operations, weights);
      const contents: Record<string, Uint8Array> = {};
      for (const path of [bundleFiles.tfjsModel, bundleFiles.tfjsWeights]) {
        contents[basename(path)] = await readFile(join(exported, path));
      }
      const files = await writeUploads(join(folder, 'uploaded'), contents);
      expect((await importModel(importJobOf(files, folder))).parityMaxAbsoluteError).toBeLessThan(1e-4);
    }));

  it('is accepted as ONNX, with its features', () =>
    withFolder(async (folder) => {
      const { operations, weights } = await networks[architecture]();
      const files = await writeUploads(folder, { 'a.onnx': encodeOnnx(operations, weights) });
      expect((await importModel(importJobOf(files, folder))).notes).toEqual([]);
    }));
});
