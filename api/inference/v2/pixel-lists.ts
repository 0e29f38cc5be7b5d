import type { InputScale } from '../../../contracts/inference/input-scale.js';
import { shown, type PixelWriter } from '../tensors/pixel-writer.js';
import { imageWriter } from '../tensors/tensors.js';
import type { ReadPixels } from './binary-pixels.js';
import { invalidTensor } from './tensor-fault.js';

/**
 * Pixels of a tensor in JSON: numbers in row-major order, flat or in lists that follow the shape. The shape must be
 * checked before, because its product is allocated.
 * @throws PerennialError invalid_tensor
 */
export function readPixelLists(data: unknown, shape: readonly number[], declared: InputScale | undefined): ReadPixels {
  const { pixels, writer } = imageWriter(shape[0] ?? 0, declared, invalidTensor);
  fill(data, shape, writer, 'data');
  return { pixels, scale: writer.finish() };
}

/** A list contains all remaining numbers of the shape, or one list per index of its first dimension. */
function fill(value: unknown, shape: readonly number[], writer: PixelWriter, at: string): void {
  if (!Array.isArray(value)) throw invalidTensor(at, `expected a list, got ${shown(value)}`);
  const [first = 0, ...rest] = shape;
  const isNested = rest.length > 0 && Array.isArray(value[0]);
  const expected = isNested ? first : sizeOf(shape);
  if (value.length !== expected) {
    throw invalidTensor(at, `expected ${expected} ${isNested ? 'lists' : 'numbers'}, got ${value.length}`);
  }
  if (rest.length === lastDimensions) writer.begin(at);
  if (isNested) for (const [index, each] of value.entries()) fill(each, rest, writer, `${at}/${index}`);
  else writer.add(value, at);
}

/** Dimensions behind the rows of an image. */
const lastDimensions = 2;

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, each) => size * each, 1);
}
