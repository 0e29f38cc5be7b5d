import { importModel } from '../../../../model/import/import-job.js';
import type { ImportedModel } from '../../../../model/jobs.js';
import { tf } from '../../../../model/tensorflow.js';
import { withFolder } from '../../../support/training-fixtures.js';
import {
  importJobOf,
  refusalOf,
  saveLayers,
  writeUploads,
  type UploadedFiles,
} from '../../../support/uploaded-models.js';

const l = tf.layers;

function smallModel(size = 224): tf.LayersModel {
  return tf.sequential({
    layers: [
      l.conv2d({ inputShape: [size, size, 3], kernelSize: 8, strides: 8, filters: 3, name: 'conv' }),
      l.globalAveragePooling2d({ name: 'pool' }),
      l.dense({ units: 3, activation: 'softmax', name: 'classes' }),
    ],
  });
}

/** Imports a small model whose model.json was edited, with files removed or changed. */
function take(
  edit: (json: string) => string,
  change: (files: UploadedFiles) => UploadedFiles = (files) => files,
): Promise<ImportedModel> {
  return withFolder(async (folder) => {
    const model = smallModel();
    const files = await saveLayers(model, folder, { edit });
    model.dispose();
    return importModel(importJobOf(change(files), folder));
  });
}

const swap = (from: string | RegExp, to: string) => (json: string) => {
  expect(json).toMatch(from);
  return json.replace(from, to);
};

describe('an uploaded model.json', () => {
  it('is accepted as TF.js saves it', async () => {
    expect((await take((json) => json)).parityMaxAbsoluteError).toBeLessThan(1e-5);
  });

  it.each([
    [
      'a Lambda layer',
      swap('"class_name":"Dense"', '"class_name":"Lambda"'),
      /The layer classes \(Lambda\).*custom code never runs/,
    ],
    ['a custom layer class', swap('GlobalAveragePooling2D', 'MyPooling'), /The layer pool \(MyPooling\)/],
    ['a model within the model', swap('"class_name":"Dense"', '"class_name":"Sequential"'), /\(Sequential\)/],
    [
      'a custom activation',
      swap('"activation":"softmax"', '"activation":"steal"'),
      /The layer classes \(Dense\).*activation/,
    ],
    ['a graph model', swap('layers-model', 'graph-model'), /graph models are not supported/],
    [
      'a key that pollutes prototypes',
      swap('{"format"', '{"__proto__":{"polluted":true},"format"'),
      /the key __proto__/,
    ],
    [
      'such a key, nested',
      swap('"config":{', '"config":{"constructor":{"prototype":{"polluted":true}},'),
      /the key prototype/,
    ],
    ['a shard outside its folder', swap('group1-shard1of2.bin', '../../secret.bin'), /without folders/],
    ['a shard at an absolute path', swap('group1-shard1of2.bin', '/etc/passwd'), /without folders/],
    ['a shard that was not sent', swap('group1-shard1of2.bin', 'other.bin'), /other\.bin, which was not sent/],
    [
      'weights of another shape',
      swap('"shape":[3,3]', '"shape":[9,1]'),
      /classes\/kernel are \[9,1\] instead of \[3,3\]/,
    ],
    ['more weights than it has bytes', swap('"shape":[3,3]', '"shape":[3,999999999]'), /hold \d+ bytes/],
    ['weights that are missing', swap('"name":"classes/bias"', '"name":"classes/other"'), /classes\/bias are missing/],
    ['channels first', swap('"data_format":"channels_last"', '"data_format":"channels_first"'), /data_format/],
    ['strides of zero', swap(/"strides":\[8,8\]/, '"strides":[0,0]'), /strides/],
    ['more filters than there can be', swap('"filters":3', '"filters":1e9'), /filters/],
    ['images of another size', swap(/\[null,224,224,3\]/, '[null,128,128,3]'), /\[any,128,128,3\]/],
    ['no list of weights', swap('"weightsManifest"', '"weights"'), /`weightsManifest` is missing\. Send a list/],
    ['a size that is text', swap('"filters":3', '"filters":"three"'), /conv \(Conv2D\).*`config.filters` must be a/],
    ['no JSON at all', () => 'import os', /cannot be read/],
    ['JSON of something else', () => '[]', /The model\.json is invalid\. It must be an object, not a list/],
  ] as const)('is refused for %s', async (_name, edit, says) => {
    const { code, message } = await refusalOf(take(edit));
    expect(message).toMatch(says);
    expect(message).not.toMatch(/Invalid|\bexpected|received|Too (big|small)/);
    expect(code).toBe('bundle_invalid');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('is refused when a shard was cut off', async () => {
    const cut = (files: UploadedFiles): UploadedFiles => files.filter(({ name }) => name !== 'group1-shard2of2.bin');
    await expect(take((json) => json, cut)).rejects.toThrow('which was not sent');
  });

  it('is refused when its layers form a cycle or have no input', () =>
    withFolder(async (folder) => {
      const image = tf.input({ shape: [224, 224, 3], name: 'photo' });
      const pooled = l.globalAveragePooling2d({ name: 'pool' }).apply(image);
      const hidden = l.dense({ units: 3, name: 'hidden' }).apply(pooled);
      const output = l.dense({ units: 3, activation: 'softmax', name: 'classes' }).apply(hidden);
      if (!(output instanceof tf.SymbolicTensor)) throw new Error('no symbolic tensor');
      const model = tf.model({ inputs: image, outputs: output });
      const circle = await saveLayers(model, folder, { edit: swap('[["pool",0,0,{}]]', '[["classes",0,0,{}]]') });
      await expect(importModel(importJobOf(circle, folder))).rejects.toThrow('form a cycle');
      const nowhere = await saveLayers(model, folder, { edit: swap('[["pool",0,0,{}]]', '[["missing",0,0,{}]]') });
      await expect(importModel(importJobOf(nowhere, folder))).rejects.toThrow('missing, which is not a layer');
      model.dispose();
    }));

  it('is refused when its weights hold NaN', () =>
    withFolder(async (folder) => {
      const model = smallModel();
      const [kernel] = model.weights;
      const values = tf.fill(kernel?.shape.map(Number) ?? [], NaN);
      kernel?.write(values);
      values.dispose();
      const files = await saveLayers(model, folder);
      model.dispose();
      await expect(importModel(importJobOf(files, folder))).rejects.toThrow('conv/kernel hold NaN');
    }));

  it('is never read from a path that a client wrote', () =>
    withFolder(async (folder) => {
      const files = await writeUploads(folder, { 'model.json': '{}' });
      expect(files.map(({ path }) => path.startsWith(folder))).toEqual([true]);
      await expect(importModel(importJobOf(files, folder))).rejects.toMatchObject({ code: 'bundle_invalid' });
    }));
});
