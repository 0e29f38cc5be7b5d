import type { Activation, LayerOf } from './layer-schemas.js';
import { imageDimensions, valueOf, type LayerGraph, type Value } from './layer-graph.js';
import { layersRefusal } from './refusal.js';

type Pair = readonly [number, number];

interface Window {
  kernel: Pair;
  strides: Pair;
  padding: 'valid' | 'same';
  dilation?: Pair;
}

/** A sliding window over an image: its ONNX attributes, and the height and width of its output. */
function slide(
  [height, width]: Pair,
  { kernel, strides, padding, dilation = [1, 1] }: Window,
): {
  dimensions: [number, number];
  attributes: Record<string, readonly number[]>;
} {
  const along = (side: number, axis: 0 | 1): { length: number; before: number; after: number } => {
    const reach = (kernel[axis] - 1) * dilation[axis] + 1;
    if (padding === 'valid') {
      return { length: Math.floor((side - reach) / strides[axis]) + 1, before: 0, after: 0 };
    }
    const length = Math.ceil(side / strides[axis]);
    const missing = Math.max(0, (length - 1) * strides[axis] + reach - side);
    // TensorFlow's "same" pads the odd pixel at the end.
    return { length, before: Math.floor(missing / 2), after: Math.ceil(missing / 2) };
  };
  const [rows, columns] = [along(height, 0), along(width, 1)];
  const pads = [rows.before, columns.before, rows.after, columns.after];
  return { dimensions: [rows.length, columns.length], attributes: { kernel_shape: kernel, strides, pads } };
}

type Convolution = LayerOf<'Conv2D'> | LayerOf<'DepthwiseConv2D'> | LayerOf<'SeparableConv2D'>;

/** A convolution of any of the three kinds, with its activation. */
export function convertConvolution(graph: LayerGraph, layer: Convolution, input: Value): Value {
  const { name, activation } = layer.config;
  const convolved = convolve(graph, layer, input);
  return { ...convolved, name: activate(graph, activation, convolved.name, name, convolved.shape) };
}

function convolve(graph: LayerGraph, layer: Convolution, input: Value): Value {
  const { config } = layer;
  const { name, kernel_size: kernel, strides, padding, dilation_rate: dilation } = config;
  const [height, width, channels] = imageDimensions(name, input);
  const { dimensions, attributes } = slide([height, width], { kernel, strides, padding, dilation });
  const window = { ...attributes, dilations: dilation };
  const give = (output: string, filters: number): Value => valueOf(name, output, [...dimensions, filters]);
  if (layer.class_name === 'Conv2D') {
    const { filters } = layer.config;
    const weights = kernelOf(graph, name, 'kernel', [...kernel, channels, filters]);
    return give(graph.add('Conv', [input.name, weights, ...biasOf(graph, config, filters)], window), filters);
  }
  const multiplied = channels * layer.config.depth_multiplier;
  const shape = [...kernel, channels, layer.config.depth_multiplier];
  const depthwise = (bias: string[]): string =>
    graph.add('Conv', [input.name, depthwiseKernelOf(graph, name, shape), ...bias], { ...window, group: channels });
  if (layer.class_name === 'DepthwiseConv2D') return give(depthwise(biasOf(graph, config, multiplied)), multiplied);
  const { filters } = layer.config;
  const weights = kernelOf(graph, name, 'pointwise_kernel', [1, 1, multiplied, filters]);
  const pointwise = [depthwise([]), weights, ...biasOf(graph, config, filters)];
  return give(graph.add('Conv', pointwise, { kernel_shape: [1, 1] }), filters);
}

function biasOf(
  graph: LayerGraph,
  { name, use_bias: isUsed }: { name: string; use_bias: boolean },
  length: number,
): string[] {
  return isUsed ? [graph.floats([length], graph.weight(name, 'bias', [length]))] : [];
}

/** Height, width, in, out becomes out, in, height, width. */
function kernelOf(graph: LayerGraph, layer: string, part: string, shape: readonly number[]): string {
  const [height = 0, width = 0, inputs = 0, outputs = 0] = shape;
  const values = graph.weight(layer, part, shape);
  const positions = height * width;
  const turned = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const [output, input, position] = [
      at % outputs,
      Math.floor(at / outputs) % inputs,
      Math.floor(at / outputs / inputs),
    ];
    turned[(output * inputs + input) * positions + position] = values[at] ?? 0;
  }
  return graph.floats([outputs, inputs, height, width], turned);
}

/** Height, width, channel, multiple becomes channel × multiple, 1, height, width. */
function depthwiseKernelOf(graph: LayerGraph, layer: string, shape: readonly number[]): string {
  const [height = 0, width = 0, channels = 0, multiples = 0] = shape;
  const values = graph.weight(layer, 'depthwise_kernel', shape);
  const outputs = channels * multiples;
  const turned = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++) {
    turned[(at % outputs) * height * width + Math.floor(at / outputs)] = values[at] ?? 0;
  }
  return graph.floats([outputs, 1, height, width], turned);
}

/** Max or average pooling; padding counts for neither. */
export function convertPooling(
  graph: LayerGraph,
  { class_name: kind, config }: LayerOf<'MaxPooling2D'> | LayerOf<'AveragePooling2D'>,
  input: Value,
): Value {
  const { name, pool_size: kernel, padding } = config;
  const [height, width, channels] = imageDimensions(name, input);
  const { dimensions, attributes } = slide([height, width], { kernel, strides: config.strides ?? kernel, padding });
  const opType = kind === 'MaxPooling2D' ? 'MaxPool' : 'AveragePool';
  return valueOf(name, graph.add(opType, [input.name], attributes), [...dimensions, channels]);
}

/** Adds an activation and returns the name of its output. */
export function activate(
  graph: LayerGraph,
  activation: Activation,
  input: string,
  layer: string,
  shape: readonly number[],
): string {
  switch (activation) {
    case 'linear':
      return input;
    case 'relu':
      return graph.add('Relu', [input]);
    case 'relu6':
      return graph.add('Clip', [input, graph.scalar(0), graph.scalar(6)]);
    case 'sigmoid':
      return graph.add('Sigmoid', [input]);
    case 'swish':
      return graph.add('Mul', [input, graph.add('Sigmoid', [input])]);
    case 'softmax':
      return graph.add('Softmax', [input], { axis: axisOf(layer, -1, shape) });
  }
}

/** The graph's axis for an axis of TF.js; -1 is the last. */
export function axisOf(layer: string, axis: number, shape: readonly number[]): number {
  const rank = shape.length + 1;
  const counted = axis < 0 ? axis + rank : axis;
  if (counted < 1 || counted >= rank)
    throw layersRefusal(`The layer ${layer} uses axis ${axis}, which its input does not have.`);
  if (rank !== 4) return counted;
  return counted === 3 ? 1 : counted + 1;
}
