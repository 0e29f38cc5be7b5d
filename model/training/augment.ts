import { inputSize } from '../../contracts/training/training.js';
import { createRandom } from '../seeded-random.js';

/** Largest changes to an image: shares of its side, and of the range of values. */
const strongest = { zoom: 0.15, shift: 0.08, brightness: 0.12, contrast: 0.2 } as const;

/**
 * A random view of an image of inputSize × inputSize × RGB: mirrored half of the time, slightly shifted, zoomed,
 * brighter or darker, with more or less contrast. The same seed gives the same view.
 */
export function augment(pixels: Uint8Array, seed: number): Uint8Array {
  const random = createRandom(seed);
  const within = (range: number): number => (2 * random() - 1) * range;
  const mirror = random() < 0.5 ? -1 : 1;
  const zoom = 1 / (1 + within(strongest.zoom));
  const columns = samplePositions(mirror * zoom, within(strongest.shift));
  const rows = samplePositions(zoom, within(strongest.shift));
  return resample(
    pixels,
    columns,
    rows,
    createTones(1 + within(strongest.contrast), 255 * within(strongest.brightness)),
  );
}

/** Source position of each target position along a side: scaled about the centre, shifted, clamped to the edges. */
function samplePositions(scale: number, shift: number): Float64Array {
  const middle = (inputSize - 1) / 2;
  return Float64Array.from({ length: inputSize }, (_, position) =>
    Math.min(Math.max(middle + (position - middle) * scale + shift * inputSize, 0), inputSize - 1),
  );
}

/** Lookup table for contrast and brightness. */
function createTones(contrast: number, brightness: number): Uint8ClampedArray {
  return Uint8ClampedArray.from({ length: 256 }, (_, value) => (value - 127.5) * contrast + 127.5 + brightness);
}

function resample(pixels: Uint8Array, columns: Float64Array, rows: Float64Array, tones: Uint8ClampedArray): Uint8Array {
  const view = new Uint8Array(pixels.length);
  const lineBytes = inputSize * 3;
  let at = 0;
  for (const row of rows) {
    const top = Math.floor(row);
    const down = row - top;
    const upper = top * lineBytes;
    const lower = Math.min(top + 1, inputSize - 1) * lineBytes;
    for (const column of columns) {
      const left = Math.floor(column);
      const across = column - left;
      const near = left * 3;
      const far = Math.min(left + 1, inputSize - 1) * 3;
      for (let channel = 0; channel < 3; channel++) {
        const above = mix(pixels[upper + near + channel], pixels[upper + far + channel], across);
        const below = mix(pixels[lower + near + channel], pixels[lower + far + channel], across);
        view[at++] = tones[Math.round(mix(above, below, down))] ?? 0;
      }
    }
  }
  return view;
}

function mix(from = 0, to = 0, share: number): number {
  return from + (to - from) * share;
}
