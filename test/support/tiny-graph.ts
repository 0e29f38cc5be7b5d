import onnxProto, { type onnx as shapes } from 'onnx-proto';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';

const { onnx } = onnxProto;
const { FLOAT, UINT8 } = onnx.TensorProto.DataType;
const { INT, INTS } = onnx.AttributeProto.AttributeType;

/**
 * An ONNX model with the inputs and outputs of every bundle: its features are the mean red, green and blue between 0 and
 * 1, its probabilities the softmax of a linear layer over them. Label n depends on colour n modulo 3: the redder the image,
 * the more probable the first label.
 */
export function tinyGraph(classes: number, bias: number): Uint8Array {
  const weights = Array.from({ length: 3 * classes }, (_, index) =>
    Math.floor(index / classes) === (index % classes) % 3 ? 10 : -2,
  );
  const biases = Array.from({ length: classes }, (_, label) => (label === 0 ? bias : 0));
  const graph = onnx.GraphProto.create({
    name: 'tiny',
    node: [
      node('Cast', [onnxNames.image], 'float', [{ name: 'to', type: INT, i: FLOAT }]),
      node('Div', ['float', 'scale'], 'scaled'),
      // In two steps: one sum over 50,000 numbers would round differently in batches of different sizes.
      mean('scaled', 2, 'columns'),
      mean('columns', 1, onnxNames.features),
      node('MatMul', [onnxNames.features, 'weights'], 'products'),
      node('Add', ['products', 'biases'], 'logits'),
      node('Softmax', ['logits'], onnxNames.probabilities, [{ name: 'axis', type: INT, i: 1 }]),
    ],
    initializer: [
      constant('scale', [], [255]),
      constant('weights', [3, classes], weights),
      constant('biases', [classes], biases),
    ],
    input: [end(onnxNames.image, UINT8, ['N', inputSize, inputSize, 3])],
    output: [end(onnxNames.probabilities, FLOAT, ['N', classes]), end(onnxNames.features, FLOAT, ['N', 3])],
  });
  const model = onnx.ModelProto.create({ irVersion: 8, opsetImport: [{ domain: '', version: 13 }], graph });
  return onnx.ModelProto.encode(model).finish();
}

/** A network as Keras exports a binary classifier: its single output, [N,1], says how red an image is. */
export function redness(): Uint8Array {
  return colourGraph([0.1, -0.1, 0], (sums) => node('Sigmoid', [sums], 'dense'));
}

/** A network as PyTorch exports a classifier: logits, [N,2], of red and of green for scaled pixels. */
export function colourLogits(): Uint8Array {
  return colourGraph([4, -4, -4, 4, 0, 0], (sums) => node('Identity', [sums], 'logits'));
}

/** Sums of the mean colours of float pixels, three weights for each output, and a last node. */
function colourGraph(weights: number[], lastNode: (sums: string) => shapes.INodeProto): Uint8Array {
  const last = lastNode('sums');
  const graph = onnx.GraphProto.create({
    name: 'colours',
    node: [
      mean('pixels', 2, 'columns'),
      mean('columns', 1, 'colours'),
      node('MatMul', ['colours', 'weights'], 'sums'),
      last,
    ],
    initializer: [constant('weights', [3, weights.length / 3], weights)],
    input: [end('pixels', FLOAT, ['N', inputSize, inputSize, 3])],
    output: [end(last.name ?? '', FLOAT, ['N', weights.length / 3])],
  });
  const model = onnx.ModelProto.create({ irVersion: 8, opsetImport: [{ domain: '', version: 13 }], graph });
  return onnx.ModelProto.encode(model).finish();
}

function node(
  opType: string,
  input: string[],
  output: string,
  attribute: shapes.IAttributeProto[] = [],
): shapes.INodeProto {
  return { opType, name: output, input, output: [output], attribute };
}

function mean(input: string, axis: number, output: string): shapes.INodeProto {
  return node('ReduceMean', [input], output, [
    { name: 'axes', type: INTS, ints: [axis] },
    { name: 'keepdims', type: INT, i: 0 },
  ]);
}

function constant(name: string, dims: number[], floatData: number[]): shapes.ITensorProto {
  return { name, dims, dataType: FLOAT, floatData };
}

function end(name: string, elemType: number, sizes: (string | number)[]): shapes.IValueInfoProto {
  const dim = sizes.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}
