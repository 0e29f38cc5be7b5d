import { imageWriter, requireFew, writeImageTensor } from '../../api/inference/tensors/tensors.js';

/** Pixels of the images of `inputs`, as from a JSON body. Throws `invalid_tensor`. */
export function parseImageTensors(inputs: readonly unknown[], declared?: 1 | 255): Uint8Array {
  requireFew(inputs.length, '#/inputs');
  const { pixels, writer } = imageWriter(inputs.length, declared);
  for (const [image, rows] of inputs.entries()) writeImageTensor(rows, writer, `#/inputs/${image}`);
  writer.finish();
  return pixels;
}
