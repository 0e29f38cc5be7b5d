import sharp from 'sharp';
import { inputSize } from '../../../contracts/training/training.js';
import { sumOf } from './class-activation.js';
import type { HeatMap } from './messages.js';

type Colour = readonly [red: number, green: number, blue: number];

/**
 * Amber supports the class and blue opposes it: distinguishable with every kind of colour blindness, and different in
 * lightness. The image below is grey, so that its own colours are not taken for those of the map.
 */
export const overlayColours: { for: Colour; against: Colour } = { for: [255, 176, 0], against: [24, 76, 200] };

/** Opacity of the colours where the map is strongest. */
const strongest = 0.75;
/**
 * A map whose absolute values add up to less than this, in logits, has no information; scaled up it would show noise.
 */
const smallestWeight = 0.01;

/**
 * Lays a map over an image of 224×224 RGB pixels, as PNG. The strength of a colour is a region's weight relative to the
 * heaviest one: a region without weight shows only the image, and regions of equal weight look the same.
 */
export async function drawOverlay(pixels: Uint8Array, map: HeatMap): Promise<Uint8Array> {
  const drawn = blend(pixels, enlarge(strengthsOf(map), inputSize));
  return (
    sharp(drawn, { raw: { width: inputSize, height: inputSize, channels: 3 } })
      // Two thirds of the size that the default gives, in no more time.
      .png({ compressionLevel: 2, adaptiveFiltering: true })
      .toBuffer()
  );
}

/** The image in grey with the colours blended over it. */
function blend(pixels: Uint8Array, strengths: Float32Array): Uint8Array {
  const drawn = new Uint8ClampedArray(pixels.length);
  strengths.forEach((strength, place) => {
    const at = 3 * place;
    const light = 0.2126 * (pixels[at] ?? 0) + 0.7152 * (pixels[at + 1] ?? 0) + 0.0722 * (pixels[at + 2] ?? 0);
    const [red, green, blue] = strength < 0 ? overlayColours.against : overlayColours.for;
    const share = strongest * Math.abs(strength);
    drawn[at] = light + share * (red - light);
    drawn[at + 1] = light + share * (green - light);
    drawn[at + 2] = light + share * (blue - light);
  });
  return new Uint8Array(drawn.buffer);
}

/** The map scaled so that its heaviest region is 1 or -1; all zero when it weighs next to nothing. */
export function strengthsOf(map: HeatMap): number[][] {
  const weights = map.map((row) => row.map((value) => Math.abs(value)));
  const heaviest = Math.max(...weights.map((row) => Math.max(...row)));
  const scale = sumOf(weights) < smallestWeight ? 0 : 1 / heaviest;
  return map.map((row) => row.map((value) => value * scale));
}

/**
 * Bilinear enlargement to `side` × `side`, row by row; pixels beyond the centres of the outermost regions take their
 * values.
 */
export function enlarge(map: HeatMap, side: number): Float32Array {
  const rows = map.length;
  const columns = map[0]?.length ?? 0;
  const across = stepsOf(columns, side);
  const enlarged = new Float32Array(side * side);
  stepsOf(rows, side).forEach(({ from, to, share }, y) => {
    const upper = map[from] ?? [];
    const lower = map[to] ?? [];
    across.forEach((step, x) => {
      enlarged[y * side + x] = (1 - share) * between(upper, step) + share * between(lower, step);
    });
  });
  return enlarged;
}

/** The two regions a pixel lies between, and its share of the second. */
interface Step {
  from: number;
  to: number;
  share: number;
}

function stepsOf(places: number, side: number): Step[] {
  return Array.from({ length: side }, (_, pixel) => {
    const at = Math.min(Math.max(((pixel + 0.5) * places) / side - 0.5, 0), places - 1);
    const from = Math.floor(at);
    return { from, to: Math.min(from + 1, places - 1), share: at - from };
  });
}

function between(row: readonly number[], { from, to, share }: Step): number {
  return (1 - share) * (row[from] ?? 0) + share * (row[to] ?? 0);
}
