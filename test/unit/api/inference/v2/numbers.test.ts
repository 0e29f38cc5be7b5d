import { halfToNumber } from '../../../../../api/inference/v2/numbers.js';

describe('halfToNumber', () => {
  it.each([
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x3c00, 1],
    [0xc000, -2],
    [0x5bf8, 255],
    [0x7bff, 65_504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, Number.NaN],
  ])('reads %i', (bits, number) => {
    expect(halfToNumber(bits)).toBe(number);
  });
});
