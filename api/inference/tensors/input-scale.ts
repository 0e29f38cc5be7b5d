import type { InputScale } from '../../../contracts/inference/input-scale.js';

/**
 * The scale rule for images given as numbers. Engines take 8 bits; clients of other servers send images that they
 * divided by 255. Taken for pixels, such an image is black, and the answer wrong without a word.
 *
 * - `scale` beside the input declares it: 1 for values from 0 to 1, 255 for values from 0 to 255.
 * - Otherwise an image with fractions whose values all lie within 0 to 1 is multiplied by 255.
 * - An image of zeros and ones only could be either: it follows the other images, and alone it is pixels.
 * - The images of a request have one scale, because a client prepares all of them in one way.
 */
/** How to say what the values are. */
export const howToDeclare = 'declare it beside the input: "scale": 1 for values from 0 to 1, "scale": 255 for pixels';

/** What decides about the scale of an image. */
export interface ValueRange {
  min: number;
  max: number;
  hasFractions: boolean;
}

/** Division by 255 in 32 bits, and back, may end a little above 1. */
const roundingError = 1e-3;
/** A photograph is brighter than this; a normalised one that was resampled may pass 1. */
const darkest = 2;

/** The range of an image. */
export function survey(values: Float64Array): ValueRange {
  let [min, max, hasFractions] = [Infinity, -Infinity, false];
  for (const value of values) {
    if (!(value >= min)) min = value;
    if (!(value <= max)) max = value;
    hasFractions ||= !Number.isInteger(value);
  }
  return { min, max, hasFractions };
}

/** The scale of an image of numbers from 0 to 255: null if it could be either; a text says why it is unclear. */
export function scaleOfPicture({ max, hasFractions }: ValueRange): InputScale | null | string {
  if (!hasFractions) return max <= 1 ? null : 255;
  if (max <= 1 + roundingError) return 1;
  if (max > darkest) return 255;
  return `fractions from 0 to ${max} are neither an image from 0 to 1 nor a photograph from 0 to 255. Clip them to 0 to 1, or ${howToDeclare}`;
}

/** The scale of all images of a request; null if they differ. */
export function decideScale(scales: readonly (InputScale | null)[]): InputScale | null {
  const isUnit = scales.includes(1);
  if (isUnit && scales.includes(255)) return null;
  return isUnit ? 1 : 255;
}

/** What is wrong with an image beside one of another scale. */
export function differsFrom(other: string): string {
  return `this image has fractions from 0 to 1, and ${other} has values up to 255; the images of a request have one scale. Send them in the same scale, or ${howToDeclare}`;
}

/** What is wrong with a value outside 0 to 255, from the range of its image. */
export function outsideOf(value: number, { min, max }: ValueRange): string {
  const wrong = `expected a number from 0 to 255, got ${value}`;
  if (!(min < 0 && max <= 255)) return wrong;
  if (min >= -1 && max <= 1) {
    return `${wrong}; this image has values from −1 to 1. Send (x + 1) / 2 for each x with "scale": 1, or (x + 1) × 127.5`;
  }
  return `${wrong}; this image has negative values. Undo the normalisation by mean and deviation, and send RGB from 0 to 255, or from 0 to 1 with "scale": 1`;
}

/** What is wrong with an image that is declared to be from 0 to 1; null if nothing is. */
export function aboveOne({ max }: ValueRange): string | null {
  if (max <= 1 + roundingError) return null;
  return `"scale": 1 declares values from 0 to 1, and the image has ${max}. Send values from 0 to 1, or "scale": 255`;
}
