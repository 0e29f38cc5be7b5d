import type { tf } from '../tensorflow.js';

/** A tensor that training changes. */
export interface TrainedVariable {
  name: string;
  variable: tf.Variable;
  /** Factor on the learning rate: pretrained weights move more slowly than new ones. */
  rateScale: number;
}

/**
 * What the training loop needs of a model. Rows are positions in the list of examples. Randomness in a training input
 * depends only on the seed, the epoch and the row, so that there is no state to save.
 */
export interface Trainable {
  readonly variables: readonly TrainedVariable[];
  /** The inputs of a training batch, augmented if the model's training does that. The caller disposes of them. */
  trainingInputs(epoch: number, rows: readonly number[]): Promise<tf.Tensor>;
  /** The inputs of a batch without augmentation. The caller disposes of them. */
  inputs(rows: readonly number[]): Promise<tf.Tensor>;
  /** Logits [rows, classes] of inputs, differentiable in the variables. */
  logits(inputs: tf.Tensor): tf.Tensor;
  dispose(): Promise<void>;
}
