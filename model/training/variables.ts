import type { Weights } from '../architectures/network.js';
import { tf } from '../tensorflow.js';
import type { TrainedVariable } from './trainable.js';

/** Makes trainable variables of weights, all at the same share of the learning rate. */
export function createVariables(weights: Weights, rateScale = 1): TrainedVariable[] {
  return [...weights].map(([name, { values, shape }]) => ({
    name,
    variable: tf.tidy(() => tf.variable(tf.tensor(values, shape))),
    rateScale,
  }));
}

/** Frees the variables. */
export function disposeVariables(variables: readonly TrainedVariable[]): void {
  for (const { variable } of variables) variable.dispose();
}
