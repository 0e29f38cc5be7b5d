import { PerennialError } from '../../../contracts/errors.js';
import { inputSize } from '../../../contracts/training/training.js';
import type { InputScale } from '../../../contracts/inference/input-scale.js';
import { PixelWriter, shown } from './pixel-writer.js';

/** Bytes of one input image of the model. */
export const imageBytes = inputSize * inputSize * 3;

/** More than fit into the largest body; without this limit, a body of empty lists would allocate terabytes. */
export const mostImages = 100;

/** Refuses more images than the limit of a request. Throws `invalid_tensor`. */
export function requireFew(images: number, pointer: string): void {
  if (images > mostImages) throw fault(pointer, `expected at most ${mostImages} images, got ${images}`);
}

/** A writer for so many images of the model. */
export function imageWriter(
  count: number,
  declared: InputScale | undefined,
  refuse: (pointer: string, detail: string) => PerennialError = fault,
): { pixels: Uint8Array; writer: PixelWriter } {
  const pixels = new Uint8Array(count * imageBytes);
  return { pixels, writer: new PixelWriter({ pixels, imageBytes, declared, refuse }) };
}

/**
 * Writes one image of nested lists `[row][column][channel]`, 224×224×3, RGB. Throws `invalid_tensor` with the first
 * invalid place.
 */
export function writeImageTensor(rows: unknown, writer: PixelWriter, pointer: string): void {
  writer.begin(pointer);
  for (const [y, columns] of list(rows, inputSize, pointer, 'rows').entries()) {
    for (const [x, channels] of list(columns, inputSize, `${pointer}/${y}`, 'columns').entries()) {
      const at = `${pointer}/${y}/${x}`;
      writer.add(list(channels, 3, at, 'channels'), at);
    }
  }
}

/** The same for one flat list, row by row, such as the columns of a table. */
export function writeFlatImage(values: unknown, writer: PixelWriter, pointer: string): void {
  writer.begin(pointer);
  writer.add(list(values, imageBytes, pointer, 'values'), pointer);
}

function list(value: unknown, length: number, pointer: string, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw fault(pointer, `expected a list of ${length} ${what}, got ${shown(value)}`);
  if (value.length !== length) throw fault(pointer, `expected ${length} ${what}, got ${value.length}`);
  return value;
}

function fault(pointer: string, detail: string): PerennialError {
  return new PerennialError(
    'invalid_tensor',
    `${pointer}: ${detail}. Each input is ${inputSize}×${inputSize}×3, RGB, 0 to 255 or 0 to 1.`,
    { details: { errors: [{ pointer, detail }] } },
  );
}
