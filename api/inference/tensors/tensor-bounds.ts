import { inputSize } from '../../../contracts/training/training.js';
import type { JsonBounds } from '../../http/body/json-bounds.js';
import { imageBytes, mostImages } from './tensors.js';

/** Lists of one image: one for each pixel and row, and its own. */
const listsPerImage = inputSize * (inputSize + 1) + 1;
/** Lists that are not of pixels. */
const otherLists = 1_000;
/** A pixel takes at least `[0,0,0],`, so a body of shorter lists holds no images. */
const leastListBytes = 7;

/** Bounds of a JSON body of so many bytes that contains images as numbers. */
export function tensorBounds(bytes: number): JsonBounds {
  const lists = Math.min(mostImages * (listsPerImage + 1), Math.floor(bytes / leastListBytes));
  return { depth: 16, containers: otherLists + lists, values: otherLists + mostImages * imageBytes };
}
