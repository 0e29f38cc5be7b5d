import type { Preprocessing } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';

/**
 * A step of a network. Each takes the output of the step before it; `add` takes that of an earlier step as well.
 * Convolutions and dense steps own the tensors `<name>/kernel` and `<name>/bias`. Padding is always "same".
 * A convolution that `halves` ends with the largest of every 2×2 positions.
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

/** How every network here sees an image: RGB 0–255 becomes (value - mean) / std as its first step. */
export const preprocessing = {
  width: inputSize,
  height: inputSize,
  colour: 'RGB',
  layout: 'NHWC',
  resize: 'fill',
  mean: 127,
  std: 128,
} as const satisfies Preprocessing;

/** Name of the step that turns features into logits, in every architecture. */
export const classifierName = 'classifier';

/** The tensor of that name. Throws when it is missing: a network and its weights then do not belong together. */
export function weightOf(weights: Weights, name: string): WeightTensor {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`The weights hold no tensor ${name}.`);
  return tensor;
}
