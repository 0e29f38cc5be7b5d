import { imageBytes, requireFew, writeImageTensor } from '../../api/inference/tensors/tensors.js';

/** Pixels of the images of `inputs`, as from a JSON body. Throws `invalid_tensor`. */
export function parseImageTensors(inputs: readonly unknown[]): Uint8Array {
  requireFew(inputs.length, '#/inputs');
  const pixels = new Uint8Array(inputs.length * imageBytes);
  for (const [image, rows] of inputs.entries()) writeImageTensor(rows, pixels, image * imageBytes, `#/inputs/${image}`);
  return pixels;
}
