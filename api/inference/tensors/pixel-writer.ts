import type { PerennialError } from '../../../contracts/errors.js';
import type { InputScale } from '../../../contracts/inference/input-scale.js';
import { aboveOne, decideScale, differsFrom, outsideOf, scaleOfPicture, survey } from './input-scale.js';

interface Options {
  /** Room for all images. */
  pixels: Uint8Array;
  imageBytes: number;
  /** What the client says of its values; undefined if nothing. */
  declared: InputScale | undefined;
  /** Makes the error for a wrong value at a pointer. */
  refuse: (pointer: string, detail: string) => PerennialError;
}

/** Writes numbers as pixels of 8 bits, image after image, by the rule of `input-scale.ts`. */
export class PixelWriter {
  readonly #image: Float64Array;
  /** Of the images so far, with their places. */
  readonly #scales: (InputScale | null)[] = [];
  readonly #places: string[] = [];
  #filled = 0;
  #wrong: { pointer: string; value: number } | null = null;

  constructor(private readonly options: Options) {
    this.#image = new Float64Array(options.imageBytes);
  }

  /** Names the place of the next image, for messages about it. */
  begin(pointer: string): void {
    this.#places[this.#scales.length] = pointer;
  }

  /** Adds the numbers of a list, whose place is `pointer`. */
  add(values: readonly unknown[], pointer: string): void {
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      if (typeof value === 'number') this.put(value, pointer, index);
      else throw this.options.refuse(`${pointer}/${index}`, `expected a number from 0 to 255, got ${shown(value)}`);
    }
  }

  /** Adds the number with this index in the list at `pointer`. Throws at the end of an image that cannot be used. */
  put(value: number, pointer: string, index: number): void {
    // NaN fails both comparisons; JSON has no NaN, but binary tensors may.
    if (!(value >= 0 && value <= 255)) this.#wrong ??= { pointer: `${pointer}/${index}`, value };
    this.#image[this.#filled] = value;
    this.#filled += 1;
    if (this.#filled === this.#image.length) this.#finishImage();
  }

  /** The scale of all images. Throws if they differ. */
  finish(): InputScale {
    const scale = this.options.declared ?? decideScale(this.#scales);
    if (scale === null) {
      const [unit = '', bright = ''] = [1, 255].map(
        (each) => this.#places[this.#scales.findIndex((own) => own === each)],
      );
      throw this.options.refuse(unit, differsFrom(bright));
    }
    if (scale === 1) this.#brightenUndecided();
    return scale;
  }

  #finishImage(): void {
    const { declared, imageBytes, pixels, refuse } = this.options;
    const place = this.#places.at(-1) ?? '';
    const range = survey(this.#image);
    if (this.#wrong !== null) throw refuse(this.#wrong.pointer, outsideOf(this.#wrong.value, range));
    const scale = declared === 1 ? (aboveOne(range) ?? declared) : (declared ?? scaleOfPicture(range));
    if (typeof scale === 'string') throw refuse(place, scale);
    const factor = scale === 1 ? 255 : 1;
    const offset = this.#scales.length * imageBytes;
    for (let at = 0; at < imageBytes; at++) {
      pixels[offset + at] = Math.min(255, Math.round((this.#image[at] ?? 0) * factor));
    }
    this.#scales.push(scale);
    this.#filled = 0;
  }

  /** Images of zeros and ones beside images from 0 to 1 are white where they have ones. */
  #brightenUndecided(): void {
    const { imageBytes, pixels } = this.options;
    for (const [image, scale] of this.#scales.entries()) {
      const end = scale === null ? (image + 1) * imageBytes : 0;
      for (let at = image * imageBytes; at < end; at++) pixels[at] = (pixels[at] ?? 0) * 255;
    }
  }
}

/** A JSON value, shortened for a message. */
export function shown(value: unknown): string {
  return typeof value === 'number' || value === null ? String(value) : Array.isArray(value) ? 'a list' : typeof value;
}
