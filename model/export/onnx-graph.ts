import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/bundle.js';
import {
  preprocessing,
  weightOf,
  type Activation,
  type Operation,
  type Weights,
  type WeightTensor,
} from '../architectures/network.js';
import { convolutionToOnnx, denseToConvolution, depthwiseToOnnx } from './onnx-kernels.js';
import { attributes, floatTensor, integerTensor, node, valueInfo } from './onnx-parts.js';

const { onnx } = onnxProto;

const opset = 17;
const irVersion = 8;

/** Numbers that several nodes share. */
const constants = { mean: 'constant/mean', std: 'constant/std', zero: 'constant/zero', six: 'constant/six' } as const;

interface Graph {
  nodes: onnxProto.onnx.INodeProto[];
  initializers: onnxProto.onnx.ITensorProto[];
  /** What the features are the average of. */
  featureMap: string | null;
}

/**
 * Writes a network as an ONNX model: `image` is uint8 [N,224,224,3] RGB, scaled and put channels first inside;
 * `probabilities` are the softmax of the last operation's output, `features` the output of the pooling before it, and
 * `class_activations` what the classifier makes of each place that the pooling takes the average of.
 * Padding is TensorFlow's "same", which is SAME_UPPER.
 */
export function encodeOnnx(operations: readonly Operation[], weights: Weights, classes: number): Uint8Array {
  const graph: Graph = { nodes: [], initializers: createConstants(operations), featureMap: null };
  let current = addPreprocessing(graph);
  let features = 0;
  for (const operation of operations) {
    if (operation.kind === 'dense') features = weightOf(weights, `${operation.name}/kernel`).shape[0] ?? 0;
    current = addOperation(graph, operation, weights, current);
  }
  graph.nodes.push(node('Softmax', [current], onnxNames.probabilities, attributes({ axis: 1 })));
  const { width, height } = preprocessing;
  const { UINT8, FLOAT } = onnx.TensorProto.DataType;
  const model = onnx.ModelProto.create({
    irVersion,
    opsetImport: [{ domain: '', version: opset }],
    producerName: 'perennial',
    graph: {
      name: 'perennial',
      node: graph.nodes,
      initializer: graph.initializers,
      input: [valueInfo(onnxNames.image, UINT8, ['N', height, width, 3])],
      output: [
        valueInfo(onnxNames.probabilities, FLOAT, ['N', classes]),
        valueInfo(onnxNames.features, FLOAT, ['N', features]),
        valueInfo(onnxNames.classActivations, FLOAT, ['N', classes, 'rows', 'columns']),
      ],
    },
  });
  return onnx.ModelProto.encode(model).finish();
}

/** Only what the graph uses: ONNX Runtime complains about the rest. */
function createConstants(operations: readonly Operation[]): onnxProto.onnx.ITensorProto[] {
  const isClipped = operations.some((operation) => 'activation' in operation && operation.activation === 'relu6');
  const bounds = [
    floatTensor(constants.zero, [], Float32Array.of(0)),
    floatTensor(constants.six, [], Float32Array.of(6)),
  ];
  return [
    floatTensor(constants.mean, [], Float32Array.of(preprocessing.mean)),
    floatTensor(constants.std, [], Float32Array.of(preprocessing.std)),
    integerTensor('constant/flat', [0, -1]),
    ...(isClipped ? bounds : []),
  ];
}

function addPreprocessing(graph: Graph): string {
  graph.nodes.push(
    // Moving bytes is cheaper than moving floats: the layout changes before the type.
    node('Transpose', [onnxNames.image], 'scale/transposed', attributes({ perm: [0, 3, 1, 2] })),
    node('Cast', ['scale/transposed'], 'scale/float', attributes({ to: onnx.TensorProto.DataType.FLOAT })),
    node('Sub', ['scale/float', constants.mean], 'scale/centred'),
    node('Div', ['scale/centred', constants.std], 'scale'),
  );
  return 'scale';
}

/** Adds the nodes of one operation and gives the name of its output. */
function addOperation(graph: Graph, operation: Operation, weights: Weights, input: string): string {
  const { name } = operation;
  switch (operation.kind) {
    case 'convolution':
    case 'depthwise':
      return addConvolution(graph, operation, weights, input);
    case 'add':
      graph.nodes.push(node('Add', [input, operation.other], name));
      return name;
    case 'average':
      graph.featureMap = input;
      graph.nodes.push(
        node('GlobalAveragePool', [input], `${name}/pooled`),
        node('Reshape', [`${name}/pooled`, 'constant/flat'], onnxNames.features),
      );
      return onnxNames.features;
    case 'dense':
      addWeights(graph, name, weights, (kernel) => kernel);
      addClassActivations(graph, name, weights);
      graph.nodes.push(node('Gemm', [input, `${name}/kernel`, `${name}/bias`], `${name}/logits`));
      return `${name}/logits`;
  }
}

/** The classifier at every place instead of their average: it is linear, so that the average of its answers is its answer. */
function addClassActivations(graph: Graph, classifier: string, weights: Weights): void {
  if (graph.featureMap === null) throw new Error(`No operation before ${classifier} takes an average.`);
  const { shape, values } = denseToConvolution(weightOf(weights, `${classifier}/kernel`));
  graph.initializers.push(floatTensor(`${classifier}/places`, shape, values));
  graph.nodes.push(node('Conv', [graph.featureMap, `${classifier}/places`], onnxNames.classActivations));
}

function addConvolution(
  graph: Graph,
  operation: Extract<Operation, { activation: Activation }>,
  weights: Weights,
  input: string,
): string {
  const { name, stride, activation, kind } = operation;
  const { shape } = weightOf(weights, `${name}/kernel`);
  const [height = 0, width = 0, channels = 0] = shape;
  addWeights(graph, name, weights, kind === 'depthwise' ? depthwiseToOnnx : convolutionToOnnx);
  const convolve = attributes({
    kernel_shape: [height, width],
    strides: [stride, stride],
    group: kind === 'depthwise' ? channels : 1,
    auto_pad: 'SAME_UPPER',
  });
  const chain: ChainLink[] = [{ opType: 'Conv', extra: [`${name}/kernel`, `${name}/bias`], attribute: convolve }];
  if (activation === 'relu') chain.push({ opType: 'Relu' });
  if (activation === 'relu6') chain.push({ opType: 'Clip', extra: [constants.zero, constants.six] });
  if ('halves' in operation) chain.push({ opType: 'MaxPool', attribute: halving });
  return addChain(graph, name, input, chain);
}

interface ChainLink {
  opType: string;
  /** Inputs besides the output of the link before. */
  extra?: string[];
  attribute?: onnxProto.onnx.IAttributeProto[];
}

const halving = attributes({ kernel_shape: [2, 2], strides: [2, 2], auto_pad: 'SAME_UPPER' });

/** Adds nodes one behind the other; the last one's output is called `name`. */
function addChain(graph: Graph, name: string, input: string, chain: readonly ChainLink[]): string {
  let current = input;
  chain.forEach(({ opType, extra = [], attribute = [] }, index) => {
    const output = index === chain.length - 1 ? name : `${name}/${opType}`;
    graph.nodes.push(node(opType, [current, ...extra], output, attribute));
    current = output;
  });
  return current;
}

function addWeights(
  graph: Graph,
  name: string,
  weights: Weights,
  toOnnx: (kernel: WeightTensor) => WeightTensor,
): void {
  const kernel = toOnnx(weightOf(weights, `${name}/kernel`));
  const bias = weightOf(weights, `${name}/bias`);
  graph.initializers.push(
    floatTensor(`${name}/kernel`, kernel.shape, kernel.values),
    floatTensor(`${name}/bias`, bias.shape, bias.values),
  );
}
