import { inputSize } from '../../../contracts/training.js';
import { pixelBytes } from '../../images/decode.js';
import { logitOf } from './class-activation.js';

/** Patches a side. Fewer hide whole objects at once, more take a run of the network each and hide too little. */
export const patchesPerSide = 7;
const patchPixels = inputSize / patchesPerSide;
/** As far from black as from white: what most networks take for nothing. */
const grey = 128;
/** Pictures in a batch: a thread is free for others after each. */
const batchSize = 4;

/** Copies of a picture, in each of which another place is hidden. */
export interface OccludedBatch {
  pixels: Uint8Array;
  count: number;
}

/**
 * Copies of a picture of 224×224 RGB pixels with a grey patch over one place each, row by row, in small batches. Each
 * is made when it is asked for: all of them together take seven megabytes.
 */
export function* occludedBatches(picture: Uint8Array): Generator<OccludedBatch> {
  const places = patchesPerSide ** 2;
  for (let first = 0; first < places; first += batchSize) {
    const count = Math.min(batchSize, places - first);
    const pixels = new Uint8Array(count * pixelBytes);
    for (let copy = 0; copy < count; copy++) {
      const one = pixels.subarray(copy * pixelBytes, (copy + 1) * pixelBytes);
      one.set(picture);
      hide(one, first + copy);
    }
    yield { pixels, count };
  }
}

function hide(pixels: Uint8Array, place: number): void {
  const top = Math.floor(place / patchesPerSide) * patchPixels;
  const left = (place % patchesPerSide) * patchPixels;
  for (let row = top; row < top + patchPixels; row++) {
    const start = 3 * (row * inputSize + left);
    pixels.fill(grey, start, start + 3 * patchPixels);
  }
}

/**
 * What the logit of a class loses without each place, row by row from the top; negative where hiding a place helped.
 * `occluded` are the probabilities of the copies, in their order.
 */
export function occlusionMap(
  whole: readonly number[],
  occluded: readonly (readonly number[])[],
  classIndex: number,
): number[][] {
  const logit = logitOf(whole, classIndex);
  return Array.from({ length: patchesPerSide }, (_, row) =>
    Array.from(
      { length: patchesPerSide },
      (__, column) => logit - logitOf(occluded[row * patchesPerSide + column] ?? whole, classIndex),
    ),
  );
}
