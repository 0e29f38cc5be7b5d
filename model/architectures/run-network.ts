import { tf } from '../tensorflow.js';
import type { NetworkTensors } from './network-tensors.js';
import { preprocessing, type Activation, type Operation } from './network.js';

/** Scales RGB 0–255 [N,224,224,3] to the input range of a network's first operation. */
export function scaleImages(images: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => images.sub<tf.Tensor4D>(preprocessing.mean).div(preprocessing.std));
}

/**
 * Runs operations on TensorFlow, differentiably, and returns the output of the last one. `add` operations can refer to
 * the input as `inputName`. Operations run one by one instead of as a layers model: its layers compute relu6 in two
 * passes over memory, which takes a third of the backbone's time.
 */
export function runNetwork(
  operations: readonly Operation[],
  tensors: NetworkTensors,
  input: tf.Tensor,
  inputName = 'image',
): tf.Tensor {
  return tf.tidy(() => {
    const outputs = new Map<string, tf.Tensor>([[inputName, input]]);
    let current = input;
    for (const operation of operations) {
      current = runOperation(operation, tensors, current, outputs);
      outputs.set(operation.name, current);
    }
    return current;
  });
}

function runOperation(
  operation: Operation,
  tensors: NetworkTensors,
  input: tf.Tensor,
  outputs: NetworkTensors,
): tf.Tensor {
  const { name } = operation;
  switch (operation.kind) {
    case 'convolution': {
      const products = tf.conv2d(rank4(input), rank4(tensorOf(tensors, `${name}/kernel`)), operation.stride, 'same');
      // Max pooling before bias and ReLU gives the same result, since both are monotonic, on a quarter of the numbers;
      // only that quarter is kept for the gradient.
      const sums = operation.halves ? tf.maxPool(products, 2, 2, 'same') : products;
      return activate(operation.activation, sums.add(tensorOf(tensors, `${name}/bias`)));
    }
    case 'depthwise': {
      const kernel = rank4(tensorOf(tensors, `${name}/kernel`));
      const sums = tf.depthwiseConv2d(rank4(input), kernel, operation.stride, 'same');
      return activate(operation.activation, sums.add(tensorOf(tensors, `${name}/bias`)));
    }
    case 'add':
      return input.add(tensorOf(outputs, operation.other));
    case 'average':
      return input.mean([1, 2]);
    case 'dense':
      return input.matMul(tensorOf(tensors, `${name}/kernel`)).add(tensorOf(tensors, `${name}/bias`));
  }
}

function activate(activation: Activation, input: tf.Tensor): tf.Tensor {
  switch (activation) {
    case 'none':
      return input;
    case 'relu':
      return input.relu();
    case 'relu6':
      return input.relu6();
  }
}

function tensorOf(tensors: NetworkTensors, name: string): tf.Tensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`The network has no tensor ${name}.`);
  return tensor;
}

function rank4(tensor: tf.Tensor): tf.Tensor4D {
  if (!isRank4(tensor)) throw new Error(`A tensor of rank 4 was expected, not one of shape ${tensor.shape.join('×')}.`);
  return tensor;
}

function isRank4(tensor: tf.Tensor): tensor is tf.Tensor4D {
  return tensor.rank === 4;
}
