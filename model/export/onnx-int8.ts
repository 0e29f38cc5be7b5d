import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { preprocessing, type Operation, type Weights } from '../architectures/network.js';
import {
  addClassifier,
  describeConvolution,
  encodeModel,
  halving,
  type Convolution,
  type Graph,
} from './onnx-model.js';
import { attributes, byteTensor, floatTensor, node } from './onnx-parts.js';
import type { Observed } from './observe-activations.js';
import { scaledImage } from './onnx-graph.js';
import { parametersOf, quantizeKernel, type Parameters } from './quantize-tensors.js';

const { INT8, INT32, UINT8 } = onnxProto.onnx.TensorProto.DataType;

interface Int8Graph extends Graph {
  observed: ReadonlyMap<string, Observed>;
  /** Quantization parameters of each output, by operation. */
  parameters: Map<string, Parameters>;
}

const bytesOf = (name: string): string => `${name}/bytes`;
const floatsOf = (name: string): string => `${name}/floats`;

/** The image is already a quantized tensor: (byte - mean) / std is its dequantization. */
const imageParameters: Parameters = { scale: 1 / preprocessing.std, zeroPoint: preprocessing.mean };

/**
 * Encodes the layers of the network of `encodeOnnx` up to its average pooling, with 8-bit convolutions and additions.
 * Between operations values are bytes, scaled by the `observed` range of each operation; ONNX Runtime fuses the conversions
 * around an operation with it. `addClassifierTo` completes the network.
 */
export function encodeInt8Layers(
  operations: readonly Operation[],
  weights: Weights,
  observed: ReadonlyMap<string, Observed>,
): Uint8Array {
  const graph: Int8Graph = { nodes: [], initializers: [], outputs: [], observed, parameters: new Map() };
  graph.nodes.push(node('Transpose', [onnxNames.image], bytesOf(scaledImage), attributes({ perm: [0, 3, 1, 2] })));
  addParameters(graph, scaledImage, imageParameters);
  let current: string = scaledImage;
  for (const operation of operations) current = addOperation(graph, operation, weights, current);
  return encodeModel(graph);
}

/**
 * Adds average pooling and classifier to `encodeInt8Layers`, which gives the inputs and outputs of `encodeOnnx`. Both stay in
 * floats: they cost little, and `features` keep their precision.
 */
export function addClassifierTo(layers: Uint8Array, operations: readonly Operation[], weights: Weights): Uint8Array {
  const { graph } = onnxProto.onnx.ModelProto.decode(layers);
  const completed: Graph = {
    nodes: [...(graph?.node ?? [])],
    initializers: [...(graph?.initializer ?? [])],
    outputs: [],
  };
  const last = operations.findLast(({ kind }) => kind !== 'average' && kind !== 'dense');
  const classifier = operations.find(({ kind }) => kind === 'dense');
  if (!last || !classifier) throw new Error('A network has layers and a classifier.');
  addClassifier(completed, read(completed, last.name, classifier.name), classifier.name, weights);
  return encodeModel(completed);
}

function addOperation(graph: Int8Graph, operation: Operation, weights: Weights, input: string): string {
  const { name } = operation;
  switch (operation.kind) {
    case 'convolution':
    case 'depthwise':
      addParameters(graph, name, parametersOf(observedOf(graph, name).range));
      addConvolution(graph, operation, weights, input);
      return name;
    case 'add': {
      addParameters(graph, name, parametersOf(observedOf(graph, name).range));
      const terms = [input, operation.other].map((term) => read(graph, term, name));
      graph.nodes.push(node('Add', terms, floatsOf(name)));
      write(graph, name, floatsOf(name), bytesOf(name));
      return name;
    }
    case 'average':
    case 'dense':
      return input;
  }
}

/** The output range replaces the activation: values outside are clipped when they are quantized. */
function addConvolution(graph: Int8Graph, operation: Convolution, weights: Weights, input: string): void {
  const { name } = operation;
  const { attribute, kernel, bias } = describeConvolution(operation, weights);
  const quantized = quantizeKernel({
    kernel,
    bias,
    isDepthwise: operation.kind === 'depthwise',
    inputScale: parametersIn(graph, input).scale,
    inputMeans: observedOf(graph, input).means,
  });
  const channels = quantized.scales.length;
  graph.initializers.push(
    byteTensor(`${name}/kernel/bytes`, INT8, quantized.shape, quantized.values),
    floatTensor(`${name}/kernel/scale`, [channels], quantized.scales),
    byteTensor(`${name}/kernel/zero`, INT8, [channels], new Int8Array(channels)),
    byteTensor(`${name}/bias/bytes`, INT32, [channels], quantized.bias),
    floatTensor(`${name}/bias/scale`, [channels], quantized.biasScales),
    byteTensor(`${name}/bias/zero`, INT32, [channels], new Int32Array(channels)),
  );
  const perChannel = (tensor: string): string => {
    const inputs = ['bytes', 'scale', 'zero'].map((part) => `${name}/${tensor}/${part}`);
    graph.nodes.push(node('DequantizeLinear', inputs, `${name}/${tensor}`, attributes({ axis: 0 })));
    return `${name}/${tensor}`;
  };
  const inputs = [read(graph, input, name), perChannel('kernel'), perChannel('bias')];
  graph.nodes.push(node('Conv', inputs, floatsOf(name), attribute));
  if (!('halves' in operation)) {
    write(graph, name, floatsOf(name), bytesOf(name));
    return;
  }
  write(graph, name, floatsOf(name), `${name}/whole`);
  graph.nodes.push(
    node('DequantizeLinear', [`${name}/whole`, ...parameterNames(name)], `${name}/whole/floats`),
    node('MaxPool', [`${name}/whole/floats`], `${name}/halved`, halving),
  );
  write(graph, name, `${name}/halved`, bytesOf(name));
}

const parameterNames = (name: string): string[] => [`${name}/scale`, `${name}/zero`];

function addParameters(graph: Int8Graph, name: string, parameters: Parameters): void {
  const [scale = '', zero = ''] = parameterNames(name);
  graph.parameters.set(name, parameters);
  graph.initializers.push(
    floatTensor(scale, [], Float32Array.of(parameters.scale)),
    byteTensor(zero, UINT8, [], Uint8Array.of(parameters.zeroPoint)),
  );
}

/**
 * Dequantizes `name` for the operation `reader`. Each reader has its own node, so that ONNX Runtime can fuse the two.
 */
function read(graph: Graph, name: string, reader: string): string {
  const floats = `${name}/for/${reader}`;
  graph.nodes.push(node('DequantizeLinear', [bytesOf(name), ...parameterNames(name)], floats));
  return floats;
}

function write(graph: Graph, name: string, floats: string, bytes: string): void {
  graph.nodes.push(node('QuantizeLinear', [floats, ...parameterNames(name)], bytes));
}

function parametersIn(graph: Int8Graph, name: string): Parameters {
  const parameters = graph.parameters.get(name);
  if (!parameters) throw new Error(`No earlier operation has the output ${name}.`);
  return parameters;
}

function observedOf({ observed }: Int8Graph, name: string): Observed {
  const own = observed.get(name);
  if (!own?.range.every(Number.isFinite)) throw new Error(`No range was observed for the output of ${name}.`);
  return own;
}
