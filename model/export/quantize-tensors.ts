import type { WeightTensor } from '../architectures/network.js';

/** Lowest and highest value seen. */
export type Range = readonly [low: number, high: number];

/** How floats are stored as bytes: `value = scale * (byte - zeroPoint)`. */
export interface Parameters {
  scale: number;
  zeroPoint: number;
}

const kernelLimit = 127;
/**
 * Processors without VNNI add two products of a byte and a weight in 16 bits with saturation, so the same file would
 * give other results on another machine. To avoid saturation no two weights of a kernel may add up to more than 128;
 * rounding may add one.
 */
const pairLimit = 127;
const byteLimit = 255;
/** The bias is stored in 32 bits; half of that range is left for the sum it is added to. */
const biasLimit = 2 ** 30;

/** Zero is always represented exactly, because padding is zero. */
export function parametersOf([low, high]: Range): Parameters {
  const bottom = Math.min(low, 0);
  const width = Math.max(high, 0) - bottom;
  // A tensor of zeros works with any scale.
  const scale = width > 0 ? width / byteLimit : 1;
  return { scale: Math.fround(scale), zeroPoint: Math.round(Math.abs(bottom) / scale) };
}

export interface QuantizedKernel {
  shape: number[];
  values: Int8Array;
  /** One per output channel, the kernel's first dimension. */
  scales: Float32Array;
  bias: Int32Array;
  biasScales: Float32Array;
}

/** A convolution and statistics of its input. */
export interface KernelToQuantize {
  /** Out, in, height, width. */
  kernel: WeightTensor;
  bias: WeightTensor;
  /** Depthwise: output channel n reads only input channel n. */
  isDepthwise: boolean;
  inputScale: number;
  /** Mean of each input channel. */
  inputMeans: Float32Array;
}

/**
 * Quantizes a kernel with one scale per output channel, and the bias in units of input scale × kernel scale. The mean
 * error from rounding the kernel is subtracted from the bias (Nagel et al., 2019); otherwise the errors of many layers
 * would add up.
 */
export function quantizeKernel(convolution: KernelToQuantize): QuantizedKernel {
  const { kernel, bias, isDepthwise, inputScale } = convolution;
  const [outputs = 0] = kernel.shape;
  const size = kernel.values.length / outputs;
  const values = new Int8Array(kernel.values.length);
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const own = kernel.values.subarray(output * size, (output + 1) * size);
    const finest = isDepthwise ? wholeScale(own) : Math.max(wholeScale(own), pairScale(own));
    // A channel whose kernel is almost zero needs a scale coarse enough for its bias to fit.
    const scale = Math.max(finest, Math.abs(bias.values[output] ?? 0) / (inputScale * biasLimit)) || 1;
    scales[output] = scale;
    own.forEach((value, at) => {
      values[output * size + at] = Math.round(value / scale);
    });
  }
  const biasScales = scales.map((scale) => scale * inputScale);
  const corrected = bias.values.map((value, output) => value - meanError(convolution, values, scales, output));
  return {
    shape: kernel.shape,
    values,
    scales,
    bias: Int32Array.from(corrected, (value, output) => Math.round(value / (biasScales[output] ?? 1))),
    biasScales,
  };
}

/** Mean error of a channel's output from rounding its kernel. */
function meanError(
  { kernel, isDepthwise, inputMeans }: KernelToQuantize,
  values: Int8Array,
  scales: Float32Array,
  output: number,
): number {
  const [, inputs = 0, height = 0, width = 0] = kernel.shape;
  const places = height * width;
  let error = 0;
  for (let input = 0; input < inputs; input++) {
    const mean = inputMeans[isDepthwise ? output : input] ?? 0;
    const first = (output * inputs + input) * places;
    for (let at = first; at < first + places; at++) {
      error += ((values[at] ?? 0) * (scales[output] ?? 0) - (kernel.values[at] ?? 0)) * mean;
    }
  }
  return error;
}

/** The finest scale in which every weight fits. */
function wholeScale(values: Float32Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest / kernelLimit;
}

/** The finest scale in which the sum of any two weights of the same sign fits. */
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
