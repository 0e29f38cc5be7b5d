import type { WeightTensor } from '../architectures/network.js';

/** Height, width, in, out becomes out, in, height, width. */
export function convolutionToOnnx({ shape, values }: WeightTensor): WeightTensor {
  const [height = 0, width = 0, inputs = 0, outputs = 0] = shape;
  return {
    shape: [outputs, inputs, height, width],
    values: transposeMatrix(values, height * width * inputs, outputs, inputs),
  };
}

/** Height, width, channel, 1 becomes channel, 1, height, width. */
export function depthwiseToOnnx({ shape, values }: WeightTensor): WeightTensor {
  const [height = 0, width = 0, channels = 0] = shape;
  return {
    shape: [channels, 1, height, width],
    values: transposeMatrix(values, height * width * channels, 1, channels),
  };
}

/** In, out becomes out, in, 1, 1: the same product at every position of a feature map. */
export function denseToConvolution({ shape, values }: WeightTensor): WeightTensor {
  const [inputs = 0, outputs = 0] = shape;
  return { shape: [outputs, inputs, 1, 1], values: transposeMatrix(values, inputs, outputs, inputs) };
}

/** Turns positions × inputs × outputs into outputs × inputs × positions. */
function transposeMatrix(values: Float32Array, rows: number, outputs: number, inputs: number): Float32Array {
  const positions = rows / inputs;
  const turned = new Float32Array(values.length);
  for (let position = 0; position < positions; position++) {
    for (let input = 0; input < inputs; input++) {
      for (let output = 0; output < outputs; output++) {
        turned[(output * inputs + input) * positions + position] =
          values[(position * inputs + input) * outputs + output] ?? 0;
      }
    }
  }
  return turned;
}
