import {
  parametersOf,
  quantizeKernel,
  type KernelToQuantize,
  type QuantizedKernel,
} from '../../../../model/export/quantize-tensors.js';
import { createRandom } from '../../../../model/seeded-random.js';

const read = ({ scale, zeroPoint }: { scale: number; zeroPoint: number }, byte: number): number =>
  scale * (byte - zeroPoint);

describe('the bytes of an activation', () => {
  it.each([
    [-48, 47],
    [0, 6],
    [3, 9],
    [-7, -2],
  ])('reach from %d to %d and hold zero exactly', (low, high) => {
    const parameters = parametersOf([low, high]);
    expect(Number.isInteger(parameters.zeroPoint)).toBe(true);
    expect(parameters.zeroPoint).toBeGreaterThanOrEqual(0);
    expect(parameters.zeroPoint).toBeLessThanOrEqual(255);
    expect(Math.abs(read(parameters, 0) - Math.min(0, low))).toBeLessThanOrEqual(parameters.scale / 2 + 1e-5);
    expect(Math.abs(read(parameters, 255) - Math.max(0, high))).toBeLessThanOrEqual(parameters.scale / 2 + 1e-5);
  });

  it('can hold a tensor of zeros', () => {
    expect(parametersOf([0, 0])).toEqual({ scale: 1, zeroPoint: 0 });
  });
});

/** A kernel of `outputs` channels with `inputs` numbers each. */
function randomKernel(outputs: number, inputs: number): { shape: number[]; values: Float32Array } {
  const random = createRandom(outputs + inputs);
  return {
    shape: [outputs, inputs, 1, 1],
    values: Float32Array.from({ length: outputs * inputs }, () => (random() - 0.5) * 4 ** (random() * 4)),
  };
}

/** Quantizes a kernel of an ordinary convolution without bias over inputs that are zero on average, or as given. */
function quantize(kernel: KernelToQuantize['kernel'], given: Partial<KernelToQuantize> = {}): QuantizedKernel {
  const [outputs = 0] = kernel.shape;
  const bias = { shape: [outputs], values: new Float32Array(outputs) };
  return quantizeKernel({
    kernel,
    bias,
    isDepthwise: false,
    inputScale: 0.5,
    inputMeans: new Float32Array(),
    ...given,
  });
}

describe('a quantized kernel', () => {
  it('is off by no more than half a step of its channel', () => {
    const kernel = randomKernel(20, 30);
    const { values, scales } = quantize(kernel);
    kernel.values.forEach((value, at) => {
      const scale = scales[Math.floor(at / 30)] ?? NaN;
      expect(Math.abs((values[at] ?? NaN) * scale - value)).toBeLessThanOrEqual(scale * 0.5001);
    });
  });

  it('fits two products with bytes in 16 bits, whichever two are added', () => {
    const kernel = randomKernel(50, 30);
    // In a scale in which they add up to 128 they are 64.5 and 63.5, and 129 once rounded.
    kernel.values.set([1290, 1270]);
    const { values } = quantize(kernel);
    for (let channel = 0; channel < 50; channel++) {
      const own = [...values.subarray(channel * 30, (channel + 1) * 30)].sort((a, b) => a - b);
      const [lowest = 0, next = 0] = own;
      const [second = 0, highest = 0] = own.slice(-2);
      expect(255 * (highest + second)).toBeLessThanOrEqual(32_767);
      expect(255 * (lowest + next)).toBeGreaterThanOrEqual(-32_768);
    }
  });

  it('uses all of its 8 bits where numbers are not added in pairs', () => {
    const depthwise = { shape: [1, 1, 3, 3], values: Float32Array.of(2, 2, 2, -2, 1, 0, 0, 0, 0) };
    expect([...quantize(depthwise, { isDepthwise: true }).values.slice(0, 5)]).toEqual([127, 127, 127, -127, 64]);
  });

  it('keeps its bias in steps of input × kernel scale, also where the kernel is zero', () => {
    const kernel = { shape: [3, 2, 1, 1], values: Float32Array.of(1, -0.5, 0, 0, 0, 0) };
    const bias = { shape: [3], values: Float32Array.of(0.3, 5, 0) };
    const { bias: steps, biasScales } = quantize(kernel, { bias, inputScale: 0.02 });
    const kept = [...steps].map((value, channel) => value * (biasScales[channel] ?? NaN));
    [0.3, 5, 0].forEach((value, channel) => {
      expect(kept[channel]).toBeCloseTo(value, 3);
    });
  });

  it.each([false, true])('has the same mean output as before rounding (depthwise: %s)', (isDepthwise) => {
    const channels = 12;
    const kernel = { ...randomKernel(channels, isDepthwise ? 9 : channels) };
    if (isDepthwise) kernel.shape = [channels, 1, 3, 3];
    const size = kernel.values.length / channels;
    const inputMeans = Float32Array.from({ length: channels }, (_, channel) => channel / 3);
    const { values, scales, bias, biasScales } = quantize(kernel, { isDepthwise, inputScale: 1e-4, inputMeans });
    for (let channel = 0; channel < channels; channel++) {
      const meanOf = (at: number): number => inputMeans[isDepthwise ? channel : at] ?? NaN;
      const places = Array.from({ length: size }, (_, at) => at);
      const before = places.reduce((sum, at) => sum + (kernel.values[channel * size + at] ?? NaN) * meanOf(at), 0);
      const after = places.reduce(
        (sum, at) => sum + (values[channel * size + at] ?? NaN) * (scales[channel] ?? NaN) * meanOf(at),
        (bias[channel] ?? NaN) * (biasScales[channel] ?? NaN),
      );
      expect(after).toBeCloseTo(before, 4);
    }
  });
});
