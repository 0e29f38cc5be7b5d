import { shown, writeValues } from '../tensors/tensors.js';
import { invalidTensor } from './tensor-fault.js';

/**
 * Pixels of a tensor in JSON: numbers in row-major order, flat or in lists that follow the shape, rounded to 8 bits.
 * The shape must be checked before, because its product is allocated.
 * @throws PerennialError invalid_tensor at the first wrong place
 */
export function readPixelLists(data: unknown, shape: readonly number[]): Uint8Array {
  const pixels = new Uint8Array(sizeOf(shape));
  fill(data, shape, { pixels, offset: 0 }, 'data');
  return pixels;
}

interface Filling {
  pixels: Uint8Array;
  offset: number;
}

/** A list contains all remaining numbers of the shape, or one list per index of its first dimension. */
function fill(value: unknown, shape: readonly number[], filling: Filling, at: string): void {
  if (!Array.isArray(value)) throw invalidTensor(at, `expected a list, got ${shown(value)}`);
  const [first = 0, ...rest] = shape;
  const isNested = rest.length > 0 && Array.isArray(value[0]);
  const expected = isNested ? first : sizeOf(shape);
  if (value.length !== expected) {
    throw invalidTensor(at, `expected ${expected} ${isNested ? 'lists' : 'numbers'}, got ${value.length}`);
  }
  if (isNested) for (const [index, each] of value.entries()) fill(each, rest, filling, `${at}/${index}`);
  else {
    writeValues(value, filling.pixels, filling.offset, at, invalidTensor);
    filling.offset += value.length;
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, each) => size * each, 1);
}
