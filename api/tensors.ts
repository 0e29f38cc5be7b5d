import { PerennialError } from '../contracts/errors.js';
import { inputSize } from '../contracts/training.js';

const rowBytes = inputSize * 3;
const imageBytes = inputSize * rowBytes;

/** More than fit into the largest body; without it, a body of empty lists would ask for terabytes of pixels. */
export const mostImages = 100;

/**
 * Pixels of images sent as nested lists: `inputs[image][row][column][channel]`, 224×224×3, RGB from 0 to 255, rounded
 * to 8 bits. Throws `invalid_tensor` that points at the first wrong place.
 */
export function parseImageTensors(inputs: readonly unknown[]): Uint8Array {
  if (inputs.length > mostImages)
    throw fault('#/inputs', `expected at most ${mostImages} images, got ${inputs.length}`);
  const pixels = new Uint8Array(inputs.length * imageBytes);
  for (const [image, rows] of inputs.entries()) {
    const at = `#/inputs/${image}`;
    for (const [y, columns] of list(rows, inputSize, at, 'rows').entries()) {
      parseRow(columns, pixels, image * imageBytes + y * rowBytes, `${at}/${y}`);
    }
  }
  return pixels;
}

function parseRow(columns: unknown, pixels: Uint8Array, offset: number, at: string): void {
  for (const [x, channels] of list(columns, inputSize, at, 'columns').entries()) {
    const values = list(channels, 3, `${at}/${x}`, 'channels');
    for (let channel = 0; channel < 3; channel++) {
      const value = values[channel];
      // NaN fails both comparisons; JSON knows none, but a caller of this function may.
      if (typeof value !== 'number' || !(value >= 0 && value <= 255)) {
        throw fault(`${at}/${x}/${channel}`, `expected a number from 0 to 255, got ${shown(value)}`);
      }
      pixels[offset + x * 3 + channel] = Math.round(value);
    }
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

function shown(value: unknown): string {
  return typeof value === 'number' || value === null ? String(value) : Array.isArray(value) ? 'a list' : typeof value;
}
