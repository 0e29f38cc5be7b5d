import type { PerennialError } from '../../../contracts/errors.js';
import type { InputScale } from '../../../contracts/inference/input-scale.js';
import { imageBytes, imageWriter } from '../tensors/tensors.js';
import type { NumberFormat } from './numbers.js';
import { invalidTensor } from './tensor-fault.js';

/** Pixels of 8 bits, and the scale of the numbers they were made from; null for bytes used as they are. */
export interface ReadPixels {
  pixels: Uint8Array;
  scale: InputScale | null;
}

/**
 * Pixels of a binary tensor of the right size.
 * @throws PerennialError invalid_tensor
 */
export function readBinaryPixels(
  binary: Buffer,
  { bytes, read }: NumberFormat,
  declared: InputScale | undefined,
): ReadPixels {
  const view = new DataView(binary.buffer, binary.byteOffset, binary.length);
  const elements = binary.length / bytes;
  const refuse = (pointer: string, detail: string): PerennialError =>
    invalidTensor('', `${pointer.replace('/', ' ')}: ${detail}`);
  const { pixels, writer } = imageWriter(elements / imageBytes, declared, refuse);
  for (let at = 0; at < elements; at++) {
    if (at % imageBytes === 0) writer.begin(`image ${at / imageBytes}`);
    writer.put(read(view, at * bytes), 'element', at);
  }
  return { pixels, scale: writer.finish() };
}
