import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { preprocessing, weightOf, type Operation, type Weights, type WeightTensor } from '../architectures/network.js';
import { convolutionToOnnx, denseToConvolution, depthwiseToOnnx } from './onnx-kernels.js';
import { attributes, floatTensor, integerTensor, node, valueInfo } from './onnx-parts.js';

const { onnx } = onnxProto;
const { UINT8, FLOAT } = onnx.TensorProto.DataType;

const opset = 17;
const irVersion = 8;

/** Parts of an ONNX graph. */
export interface Graph {
  nodes: onnxProto.onnx.INodeProto[];
  initializers: onnxProto.onnx.ITensorProto[];
  outputs: onnxProto.onnx.IValueInfoProto[];
}

export type Convolution = Extract<Operation, { kind: 'convolution' | 'depthwise' }>;

/** Attributes of the 2×2 max pooling. */
export const halving = attributes({ kernel_shape: [2, 2], strides: [2, 2], auto_pad: 'SAME_UPPER' });

/** Attributes and tensors of a convolution, in ONNX's layout. Padding is TensorFlow's "same", which is SAME_UPPER. */
export function describeConvolution(
  { name, kind, stride }: Convolution,
  weights: Weights,
): { attribute: onnxProto.onnx.IAttributeProto[]; kernel: WeightTensor; bias: WeightTensor } {
  const tensor = weightOf(weights, `${name}/kernel`);
  const [height = 0, width = 0, channels = 0] = tensor.shape;
  return {
    attribute: attributes({
      kernel_shape: [height, width],
      strides: [stride, stride],
      group: kind === 'depthwise' ? channels : 1,
      auto_pad: 'SAME_UPPER',
    }),
    kernel: kind === 'depthwise' ? depthwiseToOnnx(tensor) : convolutionToOnnx(tensor),
    bias: weightOf(weights, `${name}/bias`),
  };
}

/**
 * Adds the outputs of a graph: average pooling of `featureMap` gives `features`, the classifier's softmax
 * `probabilities`. The classifier is linear, so applied to each position before the pooling it gives
 * `class_activations`.
 */
export function addClassifier(graph: Graph, featureMap: string, name: string, weights: Weights): void {
  const kernel = weightOf(weights, `${name}/kernel`);
  const bias = weightOf(weights, `${name}/bias`);
  const places = denseToConvolution(kernel);
  const [features = 0, classes = 0] = kernel.shape;
  addPooling(graph, featureMap, name);
  graph.initializers.push(
    floatTensor(`${name}/kernel`, kernel.shape, kernel.values),
    floatTensor(`${name}/bias`, bias.shape, bias.values),
    floatTensor(`${name}/places`, places.shape, places.values),
  );
  graph.nodes.push(
    node('Gemm', [onnxNames.features, `${name}/kernel`, `${name}/bias`], `${name}/logits`),
    node('Softmax', [`${name}/logits`], onnxNames.probabilities, attributes({ axis: 1 })),
    node('Conv', [featureMap, `${name}/places`], onnxNames.classActivations),
  );
  graph.outputs.push(
    valueInfo(onnxNames.probabilities, FLOAT, ['N', classes]),
    featuresOutput(features),
    valueInfo(onnxNames.classActivations, FLOAT, ['N', classes, 'rows', 'columns']),
  );
}

/** Adds the average pooling of `featureMap`, which gives `features`; its tensors are named after `name`. */
export function addPooling(graph: Graph, featureMap: string, name: string): void {
  graph.initializers.push(integerTensor(`${name}/flat`, [0, -1]));
  graph.nodes.push(
    node('GlobalAveragePool', [featureMap], `${name}/average`),
    node('Reshape', [`${name}/average`, `${name}/flat`], onnxNames.features),
  );
}

/** The output `features`, `width` numbers for each image. */
export function featuresOutput(width: number | string): onnxProto.onnx.IValueInfoProto {
  return valueInfo(onnxNames.features, FLOAT, ['N', width]);
}

/** The bytes of a model whose one input is `image`, uint8 [N,224,224,3] RGB. */
export function encodeModel({ nodes, initializers, outputs }: Graph): Uint8Array {
  const { width, height } = preprocessing;
  const model = onnx.ModelProto.create({
    irVersion,
    opsetImport: [{ domain: '', version: opset }],
    producerName: 'perennial',
    graph: {
      name: 'perennial',
      node: nodes,
      initializer: initializers,
      input: [valueInfo(onnxNames.image, UINT8, ['N', height, width, 3])],
      output: outputs,
    },
  });
  return onnx.ModelProto.encode(model).finish();
}
