import { tf } from '../tensorflow.js';
import type { Weights, WeightTensor } from './network.js';

/** Tensors by name: `Weights` in TensorFlow's memory. */
export type NetworkTensors = ReadonlyMap<string, tf.Tensor>;

/** Copies weights into TensorFlow's memory. The caller frees them with `disposeTensors`. */
export function createTensors(weights: Weights): Map<string, tf.Tensor> {
  return new Map([...weights].map(([name, { values, shape }]) => [name, tf.tensor(values, shape, 'float32')]));
}

/** Frees every tensor of the map. */
export function disposeTensors(tensors: NetworkTensors): void {
  for (const tensor of tensors.values()) tensor.dispose();
}

/** Copies a tensor out of TensorFlow's memory, as 32-bit numbers. */
export function readTensor(tensor: tf.Tensor): WeightTensor {
  return { shape: [...tensor.shape], values: Float32Array.from(tensor.dataSync()) };
}
