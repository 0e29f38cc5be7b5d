import { classifierOperation } from '../architectures/cnn.js';
import { backboneFeatures } from '../architectures/backbone-digest.js';
import type { Weights } from '../architectures/network.js';
import { runNetwork } from '../architectures/run-network.js';
import { createClassifierWeights } from '../architectures/starting-weights.js';
import { tf } from '../tensorflow.js';
import { createVariables, disposeVariables } from './variables.js';
import type { Trainable } from './trainable.js';

/** A classifier on the embeddings of a frozen backbone; `features` are rows of `backboneFeatures` numbers. */
export function createHead(features: Float32Array, classes: number, seed: number): Trainable {
  const weights: Weights = createClassifierWeights(backboneFeatures, classes, seed);
  const matrix = tf.tensor2d(features, [features.length / backboneFeatures, backboneFeatures]);
  const variables = createVariables(weights);
  const tensors = new Map(variables.map(({ name, variable }) => [name, variable]));
  const gather = (rows: readonly number[]): Promise<tf.Tensor> =>
    Promise.resolve(tf.tidy(() => tf.gather(matrix, tf.tensor1d([...rows], 'int32'))));
  return {
    variables,
    trainingInputs: (_epoch, rows) => gather(rows),
    inputs: gather,
    logits: (inputs) => runNetwork([classifierOperation], tensors, inputs),
    dispose: () => {
      matrix.dispose();
      disposeVariables(variables);
      return Promise.resolve();
    },
  };
}
