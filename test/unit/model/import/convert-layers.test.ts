import { importModel } from '../../../../model/import/import-job.js';
import type { ImportedModel, ImportJob } from '../../../../model/jobs.js';
import { tf } from '../../../../model/tensorflow.js';
import { importJobOf, saveLayers } from '../../../support/uploaded-models.js';
import { withFolder } from '../../../support/training-fixtures.js';

type Tail = (image: tf.SymbolicTensor) => tf.SymbolicTensor;
const apply = (layer: tf.layers.Layer, input: tf.SymbolicTensor | tf.SymbolicTensor[]): tf.SymbolicTensor => {
  const output = layer.apply(input);
  if (output instanceof tf.SymbolicTensor) return output;
  throw new Error('no symbolic tensor');
};
const chain =
  (...layers: (() => tf.layers.Layer)[]): Tail =>
  (image) =>
    layers.reduce((value, layer) => apply(layer(), value), image);
const l = tf.layers;

/** A small network: a convolution makes 28×28×4 of 224×224×3, then `middle`, then three classes. */
function network(middle: Tail): tf.LayersModel {
  const image = tf.input({ shape: [224, 224, 3], name: 'photo' });
  const scaled = apply(l.rescaling({ scale: 1 / 128, offset: -1 }), image);
  const small = apply(l.conv2d({ kernelSize: 9, strides: 8, filters: 4, padding: 'same' }), scaled);
  const flat = middle(small);
  const row = flat.shape.length === 2 ? flat : apply(l.globalAveragePooling2d({}), flat);
  return tf.model({ inputs: image, outputs: apply(l.dense({ units: 3, activation: 'softmax' }), row) });
}

/** Gives the model random weights, the same ones each time; variances stay positive. */
function randomise(model: tf.LayersModel): void {
  for (const [index, weight] of model.weights.entries()) {
    const least = weight.name.includes('variance') ? 0.5 : -0.6;
    const values = tf.randomUniform(weight.shape.map(Number), least, 0.7, 'float32', index + 1);
    weight.write(values);
    values.dispose();
  }
}

function convert(model: tf.LayersModel, changes: Partial<ImportJob> = {}): Promise<ImportedModel> {
  return withFolder(async (folder) => {
    randomise(model);
    // TF.js forgets to save the multiplier of this layer.
    const edit = (json: string): string => json.replace(/("SeparableConv2D","config":\{)/, '$1"depth_multiplier":2,');
    const files = await saveLayers(model, folder, { edit });
    model.dispose();
    return importModel({ ...importJobOf(files, folder), ...changes });
  });
}

const cases: Record<string, Tail> = {
  'Conv2D, valid, strides and no bias': chain(() =>
    l.conv2d({ kernelSize: [3, 2], strides: [2, 3], filters: 5, useBias: false }),
  ),
  'Conv2D, same, even kernel': chain(() =>
    l.conv2d({ kernelSize: 4, strides: 3, filters: 5, padding: 'same', activation: 'relu6' }),
  ),
  'Conv2D, dilated': chain(() => l.conv2d({ kernelSize: 3, dilationRate: 2, filters: 5, padding: 'same' })),
  'DepthwiseConv2D with multiples': chain(() =>
    l.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 3, padding: 'same', activation: 'swish' }),
  ),
  SeparableConv2D: chain(() =>
    l.separableConv2d({
      kernelSize: 3,
      filters: 6,
      depthMultiplier: 2,
      strides: 2,
      padding: 'same',
      activation: 'sigmoid',
    }),
  ),
  'BatchNormalization of images': chain(() => l.batchNormalization({ epsilon: 0.01 })),
  'BatchNormalization of rows, without scale': chain(
    () => l.flatten(),
    () => l.batchNormalization({ scale: false, center: false }),
  ),
  'Activation and ReLU': chain(
    () => l.activation({ activation: 'swish' }),
    () => l.reLU({ maxValue: 0.5 }),
  ),
  'Softmax over channels': chain(() => l.softmax({ axis: -1 })),
  'MaxPooling2D, same': chain(() => l.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' })),
  'AveragePooling2D, same': chain(() => l.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' })),
  'AveragePooling2D, valid': chain(() => l.averagePooling2d({ poolSize: [2, 3] })),
  GlobalMaxPooling2D: chain(() => l.globalMaxPooling2d({})),
  ZeroPadding2D: chain(
    () =>
      l.zeroPadding2d({
        padding: [
          [1, 2],
          [3, 0],
        ],
      }),
    () => l.conv2d({ kernelSize: 3, filters: 2 }),
  ),
  'Flatten, Dropout and Dense': chain(
    () => l.flatten(),
    () => l.dropout({ rate: 0.5 }),
    () => l.dense({ units: 7, activation: 'relu' }),
  ),
  'Reshape to rows and back': chain(
    () => l.reshape({ targetShape: [56, 14, 4] }),
    () => l.conv2d({ kernelSize: 3, filters: 2 }),
  ),
  'Add of two branches': (image) =>
    apply(l.add(), [apply(l.conv2d({ kernelSize: 3, filters: 4, padding: 'same' }), image), image]),
  'Concatenate along channels and along height': (image) => {
    const wide = apply(l.concatenate({ axis: -1 }), [image, apply(l.conv2d({ kernelSize: 1, filters: 2 }), image)]);
    return apply(l.concatenate({ axis: 1 }), [wide, apply(l.reLU(), wide)]);
  },
};

describe('a TF.js layers model', () => {
  it.each(Object.keys(cases))('has the same outputs as ONNX: %s', async (name) => {
    const before = tf.memory().numTensors;
    const { parityMaxAbsoluteError, labels } = await convert(network(cases[name] ?? ((image) => image)));
    expect(parityMaxAbsoluteError).toBeLessThan(1e-5);
    expect(labels).toEqual(['dandelion', 'grass', 'rose']);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('may be a sequential model that returns logits and expects scaled pixels', async () => {
    const model = tf.sequential({
      layers: [
        l.conv2d({ inputShape: [224, 224, 3], kernelSize: 8, strides: 8, filters: 3 }),
        l.globalMaxPooling2d({}),
        l.dense({ units: 3 }),
      ],
    });
    const scaling = { mean: [120, 110, 100], std: [60, 58, 57] } satisfies ImportJob['scaling'];
    const { parityMaxAbsoluteError, notes } = await convert(model, { output: 'logits', scaling });
    expect(parityMaxAbsoluteError).toBeLessThan(1e-5);
    expect(notes).toContain('A softmax was added after its logits.');
  });

  it.each([
    ['probability', 'sigmoid', 'probabilities'],
    ['logit', 'linear', 'logits'],
  ] as const)('may have a single output, a %s of the second class', async (_what, activation, output) => {
    const model = tf.sequential({
      layers: [
        l.rescaling({ inputShape: [224, 224, 3], scale: 1 / 128, offset: -1 }),
        l.globalAveragePooling2d({}),
        l.dense({ units: 1, activation }),
      ],
    });
    const { parityMaxAbsoluteError, labels } = await convert(model, { output, labels: ['rose', 'dandelion'] });
    expect(parityMaxAbsoluteError).toBeLessThan(1e-5);
    expect(labels).toEqual(['dandelion', 'rose']);
  });

  it('may have quantised weights', () =>
    withFolder(async (folder) => {
      const model = network((image) => image);
      randomise(model);
      const files = await saveLayers(model, folder, { quantise: true });
      model.dispose();
      expect((await importModel(importJobOf(files, folder))).parityMaxAbsoluteError).toBeLessThan(1e-5);
    }));
});
