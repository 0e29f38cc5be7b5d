import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import type { Weights } from '../architectures/network.js';
import { valueInfo } from '../export/onnx-parts.js';
import { activate, axisOf, convertConvolution, convertPooling } from './convert-convolutions.js';
import type { Layer, LayerOf } from './layer-schemas.js';
import { imageDimensions, LayerGraph, valueOf, type Value } from './layer-graph.js';
import type { PlainModel } from './read-onnx.js';
import { layersRefusal } from './refusal.js';

const opset = 17;
const irVersion = 8;

export interface Converted {
  model: PlainModel;
  /** The weights that the layers use, no others. */
  weights: Weights;
}

/**
 * Converts layers to an ONNX graph: float images [N,3,224,224] in, the output of the last layer out. Images stay
 * channels first throughout, so that no layer needs a transposition.
 * @throws PerennialError bundle_invalid for missing or mismatched weights and for impossible shapes
 */
export function convertLayers(layers: readonly Layer[], weights: Weights): Converted {
  const graph = new LayerGraph(weights);
  const values = new Map<string, Value>();
  for (const layer of layers) {
    const inputs = layer.inputs.flatMap((name) => values.get(name) ?? []);
    values.set(layer.config.name, convertLayer(graph, layer, inputs));
  }
  const output = values.get(layers.at(-1)?.config.name ?? '');
  if (output?.shape.length !== 1) {
    throw layersRefusal(
      `The model returns [${output?.shape.join(',') ?? ''}] per image instead of one row of classes.`,
    );
  }
  const { FLOAT } = onnxProto.onnx.TensorProto.DataType;
  return {
    model: {
      irVersion,
      opsets: new Map([['', opset]]),
      graph: {
        node: graph.nodes,
        initializer: graph.initializers,
        input: [valueInfo(onnxNames.image, FLOAT, ['N', 3, inputSize, inputSize])],
        output: [valueInfo(output.name, FLOAT, ['N', ...output.shape])],
      },
    },
    weights: new Map([...weights].filter(([name]) => graph.usedWeights.has(name))),
  };
}

function convertLayer(graph: LayerGraph, layer: Layer, inputs: readonly Value[]): Value {
  if (layer.class_name === 'InputLayer') return convertInput(layer);
  const [input] = inputs;
  if (!input || inputs.length < layer.inputs.length) {
    throw layersRefusal(`The layer ${layer.config.name} has no input.`);
  }
  if (layer.class_name === 'Add' || layer.class_name === 'Concatenate') return join(graph, layer, inputs);
  if (inputs.length > 1) throw layersRefusal(`The layer ${layer.config.name} has more than one input.`);
  return convertOne(graph, layer, input);
}

function convertOne(
  graph: LayerGraph,
  layer: Exclude<Layer, { class_name: 'InputLayer' | 'Add' | 'Concatenate' }>,
  input: Value,
): Value {
  const { name } = layer.config;
  const same = (output: string): Value => ({ name: output, shape: input.shape });
  switch (layer.class_name) {
    case 'Conv2D':
    case 'DepthwiseConv2D':
    case 'SeparableConv2D':
      return convertConvolution(graph, layer, input);
    case 'MaxPooling2D':
    case 'AveragePooling2D':
      return convertPooling(graph, layer, input);
    case 'GlobalAveragePooling2D':
      return poolAll(graph, name, 'GlobalAveragePool', input);
    case 'GlobalMaxPooling2D':
      return poolAll(graph, name, 'GlobalMaxPool', input);
    case 'Rescaling':
      return same(rescale(graph, layer, input.name));
    case 'BatchNormalization':
      return same(normalise(graph, layer, input));
    case 'Activation':
      return same(activate(graph, layer.config.activation, input.name, name, input.shape));
    case 'Softmax':
      requireLastAxis(name, layer.config.axis, input);
      return same(activate(graph, 'softmax', input.name, name, input.shape));
    case 'ReLU':
      return same(rectify(graph, layer.config.max_value ?? null, input.name));
    case 'ZeroPadding2D':
      return pad(graph, layer, input);
    case 'Flatten':
      return reshape(graph, name, input, [-1]);
    case 'Reshape':
      return reshape(
        graph,
        name,
        input,
        layer.config.target_shape.map((side) => side ?? -1),
      );
    case 'Dense':
      return connect(graph, layer, input);
    case 'Dropout':
      return input;
  }
}

function convertInput({ config: { name, batch_input_shape: shape } }: LayerOf<'InputLayer'>): Value {
  const [, height, width, channels] = shape;
  const fits = (side: number | null | undefined): boolean => side === null || side === inputSize;
  if (shape.length === 4 && fits(height) && fits(width) && channels === 3) {
    return { name: onnxNames.image, shape: [inputSize, inputSize, 3] };
  }
  throw layersRefusal(
    `The input ${name} is [${shape.map((side) => side ?? 'any').join(',')}]; images here are [any,${inputSize},${inputSize},3].`,
  );
}

function join(graph: LayerGraph, layer: LayerOf<'Add'> | LayerOf<'Concatenate'>, inputs: readonly Value[]): Value {
  const { name } = layer.config;
  const shape = inputs[0]?.shape ?? [];
  const names = inputs.map((input) => input.name);
  const differ = (skipped: number | null): boolean =>
    inputs.some(
      (each) =>
        each.shape.length !== shape.length || each.shape.some((side, at) => at !== skipped && side !== shape[at]),
    );
  if (layer.class_name === 'Add') {
    if (differ(null))
      throw layersRefusal(`The inputs of the layer ${name} have different shapes, so they cannot be added.`);
    return valueOf(name, graph.add('Sum', names), shape);
  }
  const axis = axisOf(name, layer.config.axis, shape);
  const joined = layer.config.axis < 0 ? layer.config.axis + shape.length : layer.config.axis - 1;
  if (differ(joined))
    throw layersRefusal(`The inputs of the layer ${name} have different shapes, so they cannot be concatenated.`);
  const length = inputs.reduce((sum, each) => sum + (each.shape[joined] ?? 0), 0);
  return valueOf(
    name,
    graph.add('Concat', names, { axis }),
    shape.map((side, at) => (at === joined ? length : side)),
  );
}

function poolAll(graph: LayerGraph, layer: string, opType: string, input: Value): Value {
  const [, , channels] = imageDimensions(layer, input);
  const flat = graph.add('Reshape', [graph.add(opType, [input.name]), graph.integers([0, -1])]);
  return valueOf(layer, flat, [channels]);
}

function rescale(graph: LayerGraph, { config: { scale, offset } }: LayerOf<'Rescaling'>, input: string): string {
  return graph.add('Add', [graph.add('Mul', [input, graph.scalar(scale)]), graph.scalar(offset)]);
}

function rectify(graph: LayerGraph, largest: number | null, input: string): string {
  if (largest === null) return graph.add('Relu', [input]);
  return graph.add('Clip', [input, graph.scalar(0), graph.scalar(largest)]);
}

function normalise(graph: LayerGraph, { config }: LayerOf<'BatchNormalization'>, input: Value): string {
  const { name, axis, epsilon, scale, center } = config;
  const channels = input.shape.at(-1) ?? 0;
  requireLastAxis(name, axis, input);
  if (input.shape.length === 2) throw layersRefusal(`The input of the layer ${name} is neither an image nor one row.`);
  const part = (weight: string, isThere: boolean, otherwise: number): string =>
    graph.floats(
      [channels],
      isThere ? graph.weight(name, weight, [channels]) : new Float32Array(channels).fill(otherwise),
    );
  const parts = [
    part('gamma', scale, 1),
    part('beta', center, 0),
    part('moving_mean', true, 0),
    part('moving_variance', true, 1),
  ];
  return graph.add('BatchNormalization', [input.name, ...parts], {}, { epsilon });
}

function requireLastAxis(layer: string, axis: number, { shape }: Value): void {
  if (axis === -1 || axis === shape.length) return;
  throw layersRefusal(`The layer ${layer} uses axis ${axis}; only the last axis is supported.`);
}

function pad(graph: LayerGraph, { config: { name, padding } }: LayerOf<'ZeroPadding2D'>, input: Value): Value {
  const [height, width, channels] = imageDimensions(name, input);
  const [[top, bottom], [left, right]] = padding;
  const padded = graph.add('Pad', [input.name, graph.integers([0, 0, top, left, 0, 0, bottom, right])]);
  return valueOf(name, padded, [height + top + bottom, width + left + right, channels]);
}

/** Values keep the order of TF.js, which is channels last. */
function reshape(graph: LayerGraph, layer: string, input: Value, target: readonly number[]): Value {
  const numbers = input.shape.reduce((product, side) => product * side, 1);
  const known = target.reduce((product, side) => (side === -1 ? product : product * side), 1);
  const shape = target.map((side) => (side === -1 ? numbers / known : side));
  if (
    shape.reduce((product, side) => product * side, 1) !== numbers ||
    target.filter((side) => side === -1).length > 1
  ) {
    throw layersRefusal(`The layer ${layer} cannot reshape [${input.shape.join(',')}] to [${target.join(',')}].`);
  }
  const last = input.shape.length === 3 ? graph.add('Transpose', [input.name], { perm: [0, 2, 3, 1] }) : input.name;
  const shaped = graph.add('Reshape', [last, graph.integers([0, ...shape])]);
  const first = shape.length === 3 ? graph.add('Transpose', [shaped], { perm: [0, 3, 1, 2] }) : shaped;
  return valueOf(layer, first, shape);
}

function connect(graph: LayerGraph, { config }: LayerOf<'Dense'>, input: Value): Value {
  const { name, units, activation, use_bias: hasBias } = config;
  const [inputs = 0, ...more] = input.shape;
  if (more.length > 0)
    throw layersRefusal(`The input of the layer ${name} is [${input.shape.join(',')}] instead of one row.`);
  const kernel = graph.floats([inputs, units], graph.weight(name, 'kernel', [inputs, units]));
  const bias = hasBias ? [graph.floats([units], graph.weight(name, 'bias', [units]))] : [];
  const connected = valueOf(name, graph.add('Gemm', [input.name, kernel, ...bias]), [units]);
  return { ...connected, name: activate(graph, activation, connected.name, name, connected.shape) };
}
