import type { WeightTensor } from '../architectures/network.js';

/** Lowest and highest value seen. */
export type Range = readonly [low: number, high: number];

/** How floats are kept as bytes: `value = scale * (byte - zeroPoint)`. */
export interface Parameters {
  scale: number;
  zeroPoint: number;
}

const kernelLimit = 127;
/**
 * Processors without VNNI add two products of a byte and a kernel number in 16 bits, and cut off what does not fit: the
 * same file would answer differently on another machine. No two numbers of a kernel may thus add up to more than this.
 */
const pairLimit = 128;
const byteLimit = 255;
/** The bias is kept in 32 bits; this leaves the sum it is added to as much room again. */
const biasLimit = 2 ** 30;

/** Zero is always among what can be kept exactly: padding is made of it. */
export function parametersOf([low, high]: Range): Parameters {
  const bottom = Math.min(low, 0);
  const width = Math.max(high, 0) - bottom;
  // A tensor that is zero everywhere has no scale of its own.
  const scale = width > 0 ? width / byteLimit : 1;
  return { scale: Math.fround(scale), zeroPoint: Math.round(-bottom / scale) };
}

export interface QuantizedKernel {
  shape: number[];
  values: Int8Array;
  /** One for each output channel, the kernel's first side. */
  scales: Float32Array;
  bias: Int32Array;
  biasScales: Float32Array;
}

/** Quantizes a kernel, each output channel by a scale of its own, and the bias in units of input times kernel. */
export function quantizeKernel(kernel: WeightTensor, bias: WeightTensor, inputScale: number): QuantizedKernel {
  const [outputs = 0, inputs = 0] = kernel.shape;
  const size = kernel.values.length / outputs;
  const values = new Int8Array(kernel.values.length);
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const own = kernel.values.subarray(output * size, (output + 1) * size);
    const finest = inputs > 1 ? Math.max(wholeScale(own), pairScale(own)) : wholeScale(own);
    // A channel of almost nothing but its bias needs a scale in which the bias can be told.
    const scale = Math.max(finest, Math.abs(bias.values[output] ?? 0) / (inputScale * biasLimit)) || 1;
    scales[output] = scale;
    own.forEach((value, at) => {
      values[output * size + at] = Math.round(value / scale);
    });
  }
  const biasScales = scales.map((scale) => scale * inputScale);
  return {
    shape: kernel.shape,
    values,
    scales,
    bias: Int32Array.from(bias.values, (value, output) => Math.round(value / (biasScales[output] ?? 1))),
    biasScales,
  };
}

/** The finest scale in which every number fits. */
function wholeScale(values: Float32Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest / kernelLimit;
}

/** The finest scale in which any two numbers of the same sign fit together. */
function pairScale(values: Float32Array): number {
  let [largest, second, smallest, next] = [0, 0, 0, 0];
  for (const value of values) {
    if (value > largest) [largest, second] = [value, largest];
    else if (value > second) second = value;
    if (value < smallest) [smallest, next] = [value, smallest];
    else if (value < next) next = value;
  }
  return Math.max(largest + second, -smallest - next) / pairLimit;
}
