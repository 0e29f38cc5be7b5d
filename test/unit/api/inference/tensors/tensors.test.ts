import { errorCodeOf } from '../../../../../contracts/errors.js';
import { inputSize } from '../../../../../contracts/training/training.js';
import { parseImageTensors } from '../../../../support/parse-image-tensors.js';

/** A grey image, with one pixel of other values when `change` names it. */
function image(value: number, change?: { y: number; x: number; channels: unknown[] }): unknown[][][] {
  return Array.from({ length: inputSize }, (_row, y) =>
    Array.from({ length: inputSize }, (_pixel, x) =>
      change?.y === y && change.x === x ? change.channels : [value, value, value],
    ),
  );
}

function failureOf(inputs: readonly unknown[]): { code: string; message: string } {
  try {
    parseImageTensors(inputs);
  } catch (error) {
    return { code: errorCodeOf(error), message: error instanceof Error ? error.message : '' };
  }
  throw new Error('it was accepted');
}

describe('parseImageTensors', () => {
  it('preserves the order of images, rows, columns and channels', () => {
    const pixels = parseImageTensors([image(0), image(9, { y: 1, x: 2, channels: [10, 20, 30] })]);
    const offset = inputSize * inputSize * 3 + (inputSize + 2) * 3;
    expect(pixels).toHaveLength(2 * inputSize * inputSize * 3);
    expect([...pixels.subarray(offset - 1, offset + 4)]).toEqual([9, 10, 20, 30, 9]);
    expect(pixels[0]).toBe(0);
  });

  it('rounds to 8 bits', () => {
    const pixels = parseImageTensors([image(0, { y: 0, x: 0, channels: [0.4, 254.6, 255] })]);
    expect([...pixels.subarray(0, 3)]).toEqual([0, 255, 255]);
  });

  it.each([
    ['a value above 255', 255.1],
    ['a negative value', -0.1],
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['text', '7'],
    ['null', null],
  ])('refuses %s and points at it', (_name, value) => {
    const failure = failureOf([image(1), image(1, { y: 12, x: 5, channels: [1, 1, value] })]);
    expect(failure.code).toBe('invalid_tensor');
    expect(failure.message).toContain('#/inputs/1/12/5/2');
  });

  it.each([
    ['too few rows', image(1).slice(1), '#/inputs/0'],
    ['a ragged row', image(1).map((row, y) => (y === 7 ? row.slice(1) : row)), '#/inputs/0/7'],
    ['four channels', image(1).map((row) => row.map((pixel) => [...pixel, 255])), '#/inputs/0/0/0'],
    ['a flat list', Array.from({ length: inputSize * inputSize * 3 }, () => 0), '#/inputs/0'],
    ['a number', 3, '#/inputs/0'],
  ])('refuses %s and points at it', (_name, wrong, pointer) => {
    const failure = failureOf([wrong]);
    expect(failure.code).toBe('invalid_tensor');
    expect(failure.message).toMatch(new RegExp(`^${pointer}: `));
  });
});
