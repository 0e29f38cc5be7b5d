import { inputSize } from '../../../../../contracts/training/training.js';
import { messageOf } from '../../../../../contracts/errors.js';
import { scanTensors } from '../../../../../api/inference/tensors/scan-tensors.js';
import { parseImageTensors } from '../../../../support/parse-image-tensors.js';

/** An image that repeats some numbers. */
function image(...numbers: number[]): number[][][] {
  let next = 0;
  const value = (): number => numbers[next++ % numbers.length] ?? 0;
  const list = <T>(length: number, item: () => T): T[] => Array.from({ length }, item);
  return list(inputSize, () => list(inputSize, () => list(3, value)));
}

const firstOf = (pixels: Uint8Array, count = 4): number[] => [...pixels.subarray(0, count)];

function refusalOf(inputs: readonly unknown[], declared?: 1 | 255): string {
  try {
    parseImageTensors(inputs, declared);
  } catch (error) {
    return messageOf(error);
  }
  throw new Error('it was accepted');
}

describe('the scale of images given as numbers', () => {
  it.each<[string, number[], number[]]>([
    ['fractions within 0 to 1 are multiplied by 255', [0, 0.2, 0.6, 1], [0, 51, 153, 255]],
    ['a rounding error above 1 does not matter', [0.5, 1.0000001, 0, 1], [128, 255, 0, 255]],
    ['zeros and ones are pixels', [0, 1, 1, 0], [0, 1, 1, 0]],
    ['whole numbers are pixels', [0, 1, 2, 200], [0, 1, 2, 200]],
    ['fractions above are pixels', [0.5, 254.6, 1, 3], [1, 255, 1, 3]],
  ])('%s', (_rule, sent, pixels) => {
    expect(firstOf(parseImageTensors([image(...sent)]))).toEqual(pixels);
  });

  it('restores every pixel of an image that was divided by 255, in 32 and in 64 bits', () => {
    const original = Array.from({ length: 256 }, (_, value) => value);
    for (const divide of [(value: number) => value / 255, (value: number) => Math.fround(value / 255)]) {
      expect(firstOf(parseImageTensors([image(...original.map(divide))]), 256)).toEqual(original);
    }
  });

  it('lets an image of zeros and ones follow the others', () => {
    const second = inputSize * inputSize * 3;
    const [bits, unit, bright] = [image(0, 1), image(0.5), image(9)];
    expect(firstOf(parseImageTensors([bits, unit]))).toEqual([0, 255, 0, 255]);
    expect(firstOf(parseImageTensors([unit, bits]).subarray(second))).toEqual([0, 255, 0, 255]);
    expect(firstOf(parseImageTensors([bits, bright]))).toEqual([0, 1, 0, 1]);
  });

  it('refuses two scales in one request, and says how to declare one', () => {
    const refusal = refusalOf([image(9), image(0.5)]);
    expect(refusal).toMatch(/^#\/inputs\/1: .*#\/inputs\/0 has values up to 255/);
    expect(refusal).toContain('"scale": 255');
    expect(firstOf(parseImageTensors([image(9), image(0.6)], 255))).toEqual([9, 9, 9, 9]);
  });

  it('refuses fractions that are neither, values from −1 to 1, and values normalised by mean and deviation', () => {
    expect(refusalOf([image(0.5, 1.2)])).toContain('Clip them to 0 to 1');
    expect(refusalOf([image(0.5, -0.5)])).toContain('values from −1 to 1. Send (x + 1) / 2 for each x with "scale": 1');
    expect(refusalOf([image(0.5, -2.1)])).toContain('Undo the normalisation');
    expect(refusalOf([image(0.5, 300)])).toContain('expected a number from 0 to 255, got 300');
  });

  it('believes a declared scale, unless the values contradict it', () => {
    expect(firstOf(parseImageTensors([image(0, 1)], 1))).toEqual([0, 255, 0, 255]);
    expect(firstOf(parseImageTensors([image(0.4, 0.6)], 255))).toEqual([0, 1, 0, 1]);
    expect(refusalOf([image(0.5, 7)], 1)).toContain('the image has 7');
  });

  it('is left to the rule by the scanner', async () => {
    const scan = (...numbers: number[]): ReturnType<typeof scanTensors> =>
      scanTensors(Buffer.from(JSON.stringify({ inputs: [image(...numbers)] })));
    expect(await scan(0.2, 0.9)).toBeNull();
    expect(await scan(0.2, 1.9)).toBeNull();
    expect(await scan(0, 1)).not.toBeNull();
    expect(await scan(0.2, 9)).not.toBeNull();
  });
});
