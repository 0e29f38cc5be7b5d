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
 * same file would answer differently on another machine. No two numbers of a kernel may thus add up to more than 128;
 * rounding may add one.
 */
const pairLimit = 127;
const byteLimit = 255;
/** The bias is kept in 32 bits; this leaves the sum it is added to as much room again. */
const biasLimit = 2 ** 30;

/** Zero is always among what can be kept exactly: padding is made of it. */
export function parametersOf([low, high]: Range): Parameters {
  const bottom = Math.min(low, 0);
  const width = Math.max(high, 0) - bottom;
  // A tensor that is zero everywhere has no scale of its own.
  const scale = width > 0 ? width / byteLimit : 1;
  return { scale: Math.fround(scale), zeroPoint: Math.round(Math.abs(bottom) / scale) };
}

export interface QuantizedKernel {
  shape: number[];
  values: Int8Array;
  /** One for each output channel, the kernel's first side. */
  scales: Float32Array;
  bias: Int32Array;
  biasScales: Float32Array;
}

/** A convolution and what goes into it. */
export interface KernelToQuantize {
  /** Out, in, height, width. */
  kernel: WeightTensor;
  bias: WeightTensor;
  /** Each output channel looks at the input channel of its own number only. */
  isDepthwise: boolean;
  inputScale: number;
  /** What each input channel is on average. */
  inputMeans: Float32Array;
}

/**
 * Quantizes a kernel, each output channel by a scale of its own, and the bias in units of input times kernel. What the
 * rounding of the kernel adds to a channel on average is taken from its bias (Nagel et al., 2019): without, the errors
 * of many layers all point the same way.
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
    // A channel of almost nothing but its bias needs a scale in which the bias can be told.
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

/** How much more a channel gives on average because its kernel was rounded. */
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
