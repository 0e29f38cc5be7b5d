import { currentPreprocessing, type Preprocessing } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';

/**
 * A layer of a network. Its input is the output of the previous layer; `add` also takes that of an earlier one.
 * Convolutions and dense layers have the tensors `<name>/kernel` and `<name>/bias`. Padding is always "same". A
 * convolution with `halves` ends with 2×2 max pooling.
 */
export type Operation =
  | { kind: 'convolution'; name: string; stride: number; activation: Activation; halves?: true }
  | { kind: 'depthwise'; name: string; stride: number; activation: Activation }
  | { kind: 'add'; name: string; other: string }
  | { kind: 'average'; name: string }
  | { kind: 'dense'; name: string };
export type Activation = 'none' | 'relu' | 'relu6';

/** Weights by tensor name, row-major, kernels in TensorFlow's layout (HWIO; depthwise HWC1; dense [in, out]). */
export interface WeightTensor {
  shape: number[];
  values: Float32Array;
}
export type Weights = ReadonlyMap<string, WeightTensor>;

/** Preprocessing of every network here: its first step turns RGB 0–255 into (value - mean) / std. */
export const preprocessing = {
  version: currentPreprocessing,
  width: inputSize,
  height: inputSize,
  colour: 'RGB',
  layout: 'NHWC',
  resize: 'fill',
  mean: 127,
  std: 128,
} as const satisfies Preprocessing;

/** Name of the classifier layer, from features to logits, in every architecture. */
export const classifierName = 'classifier';

/** The tensor with that name. Throws when it is missing: the weights belong to another network. */
export function weightOf(weights: Weights, name: string): WeightTensor {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`The weights hold no tensor ${name}.`);
  return tensor;
}
