import { tf } from '../tensorflow.js';
import { preprocessing, weightOf, type Activation, type Operation, type Weights } from '../architectures/network.js';

/**
 * Input of a layers model. An image is RGB 0–255 [N,224,224,3] and scaled inside; any other input is used unchanged.
 */
export interface ModelInput {
  name: string;
  shape: number[];
  isImage: boolean;
}

export const imageInput: ModelInput = {
  name: 'image',
  shape: [preprocessing.height, preprocessing.width, 3],
  isImage: true,
};

/**
 * Builds the operations as a TF.js layers model that ends with the output of the last one. With `softmax` the last
 * dense layer returns probabilities instead of logits. The caller disposes of the model.
 */
export function buildLayersModel(
  input: ModelInput,
  operations: readonly Operation[],
  weights: Weights,
  options: { softmax?: boolean; name?: string } = {},
): tf.LayersModel {
  const start = tf.input({ shape: input.shape, name: input.name });
  const outputs = new Map<string, tf.SymbolicTensor>();
  const loads: (() => void)[] = [];
  let current = input.isImage ? apply(scaling(), start) : start;
  outputs.set(input.name, current);
  for (const operation of operations) {
    const { layer, load } = createLayer(operation, weights, options.softmax ?? false);
    current = apply(layer, operation.kind === 'add' ? [current, outputOf(outputs, operation.other)] : current);
    if ('activation' in operation) current = activate(operation.name, operation.activation, current);
    if ('halves' in operation) current = apply(halving(operation.name), current);
    outputs.set(operation.name, current);
    if (load) loads.push(load);
  }
  const model = tf.model({ inputs: start, outputs: current, name: options.name ?? 'perennial' });
  for (const load of loads) load();
  return model;
}

function scaling(): tf.layers.Layer {
  const { mean, std } = preprocessing;
  return tf.layers.rescaling({ name: 'scale', scale: 1 / std, offset: -mean / std });
}

function halving(name: string): tf.layers.Layer {
  return tf.layers.maxPooling2d({ name: `${name}/halved`, poolSize: 2, strides: 2, padding: 'same' });
}

interface Built {
  layer: tf.layers.Layer;
  /** Sets the weights, once the model has created the layer's variables. */
  load: (() => void) | null;
}

function createLayer(operation: Operation, weights: Weights, softmax: boolean): Built {
  const { name } = operation;
  switch (operation.kind) {
    case 'convolution': {
      const [height = 0, width = 0, , filters = 0] = weightOf(weights, `${name}/kernel`).shape;
      const config = { name, kernelSize: [height, width], strides: operation.stride, filters, ...convolutionDefaults };
      return withWeights(tf.layers.conv2d(config), name, weights);
    }
    case 'depthwise': {
      const [height = 0, width = 0] = weightOf(weights, `${name}/kernel`).shape;
      const kernelSize: [number, number] = [height, width];
      const config = { name, kernelSize, strides: operation.stride, ...depthwiseDefaults };
      return withWeights(tf.layers.depthwiseConv2d(config), name, weights);
    }
    case 'dense': {
      const [, units = 0] = weightOf(weights, `${name}/kernel`).shape;
      const activation = softmax ? 'softmax' : 'linear';
      return withWeights(tf.layers.dense({ name, units, activation, kernelInitializer: 'zeros' }), name, weights);
    }
    case 'add':
      return { layer: tf.layers.add({ name }), load: null };
    case 'average':
      return { layer: tf.layers.globalAveragePooling2d({ name, dataFormat: 'channelsLast' }), load: null };
  }
}

const convolutionDefaults = { padding: 'same', kernelInitializer: 'zeros' } as const;
const depthwiseDefaults = { padding: 'same', depthwiseInitializer: 'zeros' } as const;

function withWeights(layer: tf.layers.Layer, name: string, weights: Weights): Built {
  const load = (): void => {
    const tensors = [weightOf(weights, `${name}/kernel`), weightOf(weights, `${name}/bias`)].map(({ values, shape }) =>
      tf.tensor(values, shape),
    );
    layer.setWeights(tensors);
    tf.dispose(tensors);
  };
  return { layer, load };
}

function activate(name: string, activation: Activation, input: tf.SymbolicTensor): tf.SymbolicTensor {
  if (activation === 'none') return input;
  const config = { name: `${name}/${activation}` };
  return apply(tf.layers.reLU(activation === 'relu6' ? { ...config, maxValue: 6 } : config), input);
}

function apply(layer: tf.layers.Layer, input: tf.SymbolicTensor | tf.SymbolicTensor[]): tf.SymbolicTensor {
  const output = layer.apply(input);
  if (!(output instanceof tf.SymbolicTensor)) throw new Error(`Layer ${layer.name} gave no symbolic tensor.`);
  return output;
}

function outputOf(outputs: ReadonlyMap<string, tf.SymbolicTensor>, name: string): tf.SymbolicTensor {
  const output = outputs.get(name);
  if (!output) throw new Error(`No earlier operation is called ${name}.`);
  return output;
}
