import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { preprocessing, type Operation, type Weights } from '../architectures/network.js';
import {
  addClassifier,
  addPooling,
  describeConvolution,
  encodeModel,
  featuresOutput,
  halving,
  type Convolution,
  type Graph,
} from './onnx-model.js';
import { attributes, floatTensor, node } from './onnx-parts.js';

const { onnx } = onnxProto;

/** Constants that several nodes share. */
const constants = { mean: 'constant/mean', std: 'constant/std', zero: 'constant/zero', six: 'constant/six' } as const;

/** Name of the first operation's input: the scaled image. */
export const scaledImage = 'scale';

/**
 * Encodes a network as an ONNX model: `image` is uint8 [N,224,224,3] RGB, scaled and transposed to channels first
 * inside; `probabilities` are the softmax of the last operation's output, `features` the output of the average pooling,
 * and `class_activations` the classifier applied to each position before that pooling.
 */
export function encodeOnnx(operations: readonly Operation[], weights: Weights): Uint8Array {
  return encodeModel(buildGraph(operations, weights));
}

/** Encodes a network up to its average pooling: `image` as in `encodeOnnx`, and `features` as the one output. */
export function encodeFeatureExtractor(operations: readonly Operation[], weights: Weights): Uint8Array {
  const { graph, output } = buildNodes(operations, weights);
  addPooling(graph, output, 'pooling');
  graph.outputs.push(featuresOutput('features'));
  return encodeModel(graph);
}

/** The graph behind `encodeOnnx`. The output of every operation but the last two has the operation's name. */
export function buildGraph(operations: readonly Operation[], weights: Weights): Graph {
  return buildNodes(operations, weights).graph;
}

/** The graph and the output of its last operation. */
function buildNodes(operations: readonly Operation[], weights: Weights): { graph: Graph; output: string } {
  const graph: Graph = { nodes: [], initializers: createConstants(operations), outputs: [] };
  let output = addPreprocessing(graph);
  for (const operation of operations) output = addOperation(graph, operation, weights, output);
  return { graph, output };
}

/** Only the constants that the graph uses: ONNX Runtime warns about unused ones. */
function createConstants(operations: readonly Operation[]): onnxProto.onnx.ITensorProto[] {
  const isClipped = operations.some((operation) => 'activation' in operation && operation.activation === 'relu6');
  const bounds = [
    floatTensor(constants.zero, [], Float32Array.of(0)),
    floatTensor(constants.six, [], Float32Array.of(6)),
  ];
  return [
    floatTensor(constants.mean, [], Float32Array.of(preprocessing.mean)),
    floatTensor(constants.std, [], Float32Array.of(preprocessing.std)),
    ...(isClipped ? bounds : []),
  ];
}

function addPreprocessing(graph: Graph): string {
  graph.nodes.push(
    // Transpose before the cast: moving bytes is cheaper than moving floats.
    node('Transpose', [onnxNames.image], 'scale/transposed', attributes({ perm: [0, 3, 1, 2] })),
    node('Cast', ['scale/transposed'], 'scale/float', attributes({ to: onnx.TensorProto.DataType.FLOAT })),
    node('Sub', ['scale/float', constants.mean], 'scale/centred'),
    node('Div', ['scale/centred', constants.std], scaledImage),
  );
  return scaledImage;
}

/** Adds the nodes of one operation and returns the name of the next one's input. */
function addOperation(graph: Graph, operation: Operation, weights: Weights, input: string): string {
  const { name } = operation;
  switch (operation.kind) {
    case 'convolution':
    case 'depthwise':
      addConvolution(graph, operation, weights, input);
      return name;
    case 'add':
      graph.nodes.push(node('Add', [input, operation.other], name));
      return name;
    case 'average':
      // Pooling is added last, because a classifier also reads the feature map before it.
      return input;
    case 'dense':
      addClassifier(graph, input, name, weights);
      return name;
  }
}

function addConvolution(graph: Graph, operation: Convolution, weights: Weights, input: string): void {
  const { name, activation } = operation;
  const { attribute, kernel, bias } = describeConvolution(operation, weights);
  graph.initializers.push(
    floatTensor(`${name}/kernel`, kernel.shape, kernel.values),
    floatTensor(`${name}/bias`, bias.shape, bias.values),
  );
  const chain: ChainLink[] = [{ opType: 'Conv', extra: [`${name}/kernel`, `${name}/bias`], attribute }];
  if (activation === 'relu') chain.push({ opType: 'Relu' });
  if (activation === 'relu6') chain.push({ opType: 'Clip', extra: [constants.zero, constants.six] });
  if ('halves' in operation) chain.push({ opType: 'MaxPool', attribute: halving });
  addChain(graph, name, input, chain);
}

interface ChainLink {
  opType: string;
  /** Inputs besides the output of the previous link. */
  extra?: string[];
  attribute?: onnxProto.onnx.IAttributeProto[];
}

/** Adds nodes in sequence; the output of the last one is called `name`. */
function addChain(graph: Graph, name: string, input: string, chain: readonly ChainLink[]): void {
  let current = input;
  chain.forEach(({ opType, extra = [], attribute = [] }, index) => {
    const output = index === chain.length - 1 ? name : `${name}/${opType}`;
    graph.nodes.push(node(opType, [current, ...extra], output, attribute));
    current = output;
  });
}
