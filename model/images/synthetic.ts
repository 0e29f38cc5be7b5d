import sharp from 'sharp';
import { createRandom } from '../seeded-random.js';

/** The two classes of the synthetic dataset, used where no photographs are available. */
export const syntheticLabels = ['dandelion', 'grass'] as const;
export type SyntheticLabel = (typeof syntheticLabels)[number];

/**
 * Draws a synthetic image: flower heads in grass, or grass alone. Sizes from 64 to 256 pixels and light, blur, size and
 * number of flowers vary. The same label and index give the same JPEG.
 */
export async function drawSyntheticImage(label: SyntheticLabel, index: number): Promise<Buffer> {
  const draw = createBrush(index * syntheticLabels.length + syntheticLabels.indexOf(label) + 1);
  const width = Math.round(draw.between(64, 256));
  const height = Math.round(draw.between(64, 256));
  const parts = [drawMeadow(draw, width, height), label === 'dandelion' ? drawFlowers(draw, width, height) : ''];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${parts.join('')}</svg>`;
  return sharp(Buffer.from(svg))
    .blur(draw.between(0.4, 1.6))
    .modulate({ brightness: draw.between(0.6, 1.3), saturation: draw.between(0.6, 1.2) })
    .flatten({ background: '#ffffff' })
    .jpeg({ quality: Math.round(draw.between(60, 92)) })
    .toBuffer();
}

interface Brush {
  between(low: number, high: number): number;
  /** A colour whose hue, saturation and lightness lie in the given ranges (degrees, %, %). */
  colour(
    hue: readonly [number, number],
    saturation: readonly [number, number],
    light: readonly [number, number],
  ): string;
}

function createBrush(seed: number): Brush {
  const random = createRandom(Math.imul(seed, 0x9e3779b1));
  const between = (low: number, high: number): number => low + random() * (high - low);
  return {
    between,
    colour: (hue, saturation, light) =>
      `hsl(${Math.round(between(...hue))},${Math.round(between(...saturation))}%,${Math.round(between(...light))}%)`,
  };
}

function drawMeadow(draw: Brush, width: number, height: number): string {
  const ground = `<rect width="100%" height="100%" fill="${draw.colour([70, 130], [25, 55], [18, 45])}"/>`;
  const blades = Array.from({ length: Math.round(draw.between(60, 220)) }, () => {
    const x = draw.between(0, width);
    const y = draw.between(0, height * 1.2);
    const tip = `${x + draw.between(-14, 14)} ${y - draw.between(10, height / 2)}`;
    const colour = draw.colour([60, 125], [25, 65], [20, 62]);
    return `<path d="M${x} ${y}Q${x} ${y - 8} ${tip}" stroke="${colour}" stroke-width="${draw.between(0.8, 4)}" fill="none"/>`;
  });
  return ground + blades.join('') + drawDryLeaves(draw, width, height);
}

/** Yellowish specks on both classes, so that counting yellow pixels does not separate them. */
function drawDryLeaves(draw: Brush, width: number, height: number): string {
  return Array.from({ length: Math.round(draw.between(0, 12)) }, () => {
    const centre = `cx="${draw.between(0, width)}" cy="${draw.between(0, height)}"`;
    const size = `rx="${draw.between(1, 5)}" ry="${draw.between(0.6, 2)}"`;
    return `<ellipse ${centre} ${size} fill="${draw.colour([40, 62], [40, 80], [45, 70])}"/>`;
  }).join('');
}

function drawFlowers(draw: Brush, width: number, height: number): string {
  return Array.from({ length: Math.round(draw.between(1, 5)) }, () => {
    const radius = draw.between(0.09, 0.26) * Math.min(width, height);
    return drawFlower(draw, draw.between(0.1, 0.9) * width, draw.between(0.1, 0.9) * height, radius);
  }).join('');
}

function drawFlower(draw: Brush, x: number, y: number, radius: number): string {
  const petals = Array.from({ length: Math.round(draw.between(24, 48)) }, () => {
    const angle = draw.between(0, 2 * Math.PI);
    const length = draw.between(0.7, 1.05) * radius;
    const tip = `${x + Math.cos(angle) * length} ${y + Math.sin(angle) * length}`;
    const colour = draw.colour([46, 58], [80, 100], [48, 62]);
    return `<path d="M${x} ${y}L${tip}" stroke="${colour}" stroke-width="${radius * 0.22}" stroke-linecap="round"/>`;
  });
  const heart = `<circle cx="${x}" cy="${y}" r="${radius * 0.3}" fill="${draw.colour([36, 46], [80, 100], [40, 52])}"/>`;
  return petals.join('') + heart;
}
