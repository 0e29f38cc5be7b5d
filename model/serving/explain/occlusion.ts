import { inputSize } from '../../../contracts/training/training.js';
import { pixelBytes } from '../../images/decode.js';
import { logitOf } from './class-activation.js';

/** Places a side; each takes a run of the network. */
export const placesPerSide = 7;
const placePixels = inputSize / placesPerSide;
/**
 * How far what is hidden reaches beyond its place. A network sees an object of which a place alone is missing, with a
 * strange square on it: on photographs such maps had hardly anything to do with the exact ones of the same network
 * (correlation 0.09), and with this margin they had (0.40).
 */
export const marginPixels = 28;
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
 * Copies of a picture of 224×224 RGB pixels with a grey square around one place each, row by row, in small batches. Each
 * is made when it is asked for: all of them together take seven megabytes.
 */
export function* occludedBatches(image: Uint8Array): Generator<OccludedBatch> {
  const places = placesPerSide ** 2;
  for (let first = 0; first < places; first += batchSize) {
    const count = Math.min(batchSize, places - first);
    const pixels = new Uint8Array(count * pixelBytes);
    for (let copy = 0; copy < count; copy++) {
      const one = pixels.subarray(copy * pixelBytes, (copy + 1) * pixelBytes);
      one.set(image);
      mask(one, first + copy);
    }
    yield { pixels, count };
  }
}

function mask(pixels: Uint8Array, place: number): void {
  const [top, bottom] = maskedRange(Math.floor(place / placesPerSide));
  const [left, right] = maskedRange(place % placesPerSide);
  for (let row = top; row < bottom; row++) {
    pixels.fill(grey, 3 * (row * inputSize + left), 3 * (row * inputSize + right));
  }
}

/** First pixel that is hidden for a row or column of places, and the first that no longer is. */
function maskedRange(index: number): [from: number, to: number] {
  const from = index * placePixels - marginPixels;
  const to = (index + 1) * placePixels + marginPixels;
  return [Math.max(0, from), Math.min(inputSize, to)];
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
  return Array.from({ length: placesPerSide }, (_, row) =>
    Array.from(
      { length: placesPerSide },
      (__, column) => logit - logitOf(occluded[row * placesPerSide + column] ?? whole, classIndex),
    ),
  );
}
