import { PerennialError } from '../../../contracts/errors.js';
import { inputSize } from '../../../contracts/training/training.js';

const rowBytes = inputSize * 3;
/** Bytes of one input image of the model. */
export const imageBytes = inputSize * rowBytes;

/** More than fit into the largest body; without this limit, a body of empty lists would allocate terabytes. */
export const mostImages = 100;

/** Refuses more images than the limit of a request. Throws `invalid_tensor`. */
export function requireFew(images: number, pointer: string): void {
  if (images > mostImages) throw fault(pointer, `expected at most ${mostImages} images, got ${images}`);
}

/**
 * Writes one image into `pixels`: nested lists `[row][column][channel]`, 224×224×3, RGB from 0 to 255, which are rounded
 * to 8 bits. Throws `invalid_tensor` with the first invalid place.
 */
export function writeImageTensor(rows: unknown, pixels: Uint8Array, offset: number, pointer: string): void {
  for (const [y, columns] of list(rows, inputSize, pointer, 'rows').entries()) {
    for (const [x, channels] of list(columns, inputSize, `${pointer}/${y}`, 'columns').entries()) {
      const at = `${pointer}/${y}/${x}`;
      writeValues(list(channels, 3, at, 'channels'), pixels, offset + y * rowBytes + x * 3, at);
    }
  }
}

/** The same for one flat list, row by row, such as the columns of a table. */
export function writeFlatImage(values: unknown, pixels: Uint8Array, offset: number, pointer: string): void {
  writeValues(list(values, imageBytes, pointer, 'values'), pixels, offset, pointer);
}

/** Writes numbers in order. Throws the error that `refuse` makes for the first invalid one. */
export function writeValues(
  values: readonly unknown[],
  pixels: Uint8Array,
  offset: number,
  pointer: string,
  refuse: (pointer: string, detail: string) => PerennialError = fault,
): void {
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    // NaN fails both comparisons; JSON has no NaN, but binary tensors may.
    if (typeof value !== 'number' || !(value >= 0 && value <= 255)) {
      throw refuse(`${pointer}/${index}`, `expected a number from 0 to 255, got ${shown(value)}`);
    }
    pixels[offset + index] = Math.round(value);
  }
}

function list(value: unknown, length: number, pointer: string, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw fault(pointer, `expected a list of ${length} ${what}, got ${shown(value)}`);
  if (value.length !== length) throw fault(pointer, `expected ${length} ${what}, got ${value.length}`);
  return value;
}

function fault(pointer: string, detail: string): PerennialError {
  return new PerennialError(
    'invalid_tensor',
    `${pointer}: ${detail}. Each input is ${inputSize}×${inputSize}×3, RGB, 0 to 255.`,
    { details: { errors: [{ pointer, detail }] } },
  );
}

/** A JSON value, shortened for a message. */
export function shown(value: unknown): string {
  return typeof value === 'number' || value === null ? String(value) : Array.isArray(value) ? 'a list' : typeof value;
}
