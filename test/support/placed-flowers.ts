import sharp from 'sharp';
import { inputSize } from '../../contracts/training/training.js';
import { drawSyntheticImage } from '../../model/images/synthetic.js';
import { createRandom } from '../../model/seeded-random.js';

/** A synthetic image with a flower at a known position. */
export interface PlacedFlower {
  /** PNG, 224×224. */
  image: Buffer;
  /** Centre and radius of the flower in pixels; null on a meadow without one. */
  flower: { x: number; y: number; radius: number } | null;
}

/** A meadow with one yellow flower at a random position, or without. The same index gives the same image. */
export async function drawPlacedFlower(index: number, hasFlower: boolean): Promise<PlacedFlower> {
  const random = createRandom(Math.imul(index + 1, 0x51ed270b));
  const between = (low: number, high: number): number => low + random() * (high - low);
  const meadow = await drawSyntheticImage('grass', index);
  const ground = sharp(meadow).resize(inputSize, inputSize, { fit: 'fill' });
  if (!hasFlower) return { image: await ground.png().toBuffer(), flower: null };
  const radius = between(28, 44);
  const flower = { x: between(radius, inputSize - radius), y: between(radius, inputSize - radius), radius };
  return {
    image: await ground
      .composite([{ input: Buffer.from(petals(flower, random)) }])
      .png()
      .toBuffer(),
    flower,
  };
}

function petals({ x, y, radius }: { x: number; y: number; radius: number }, random: () => number): string {
  const strokes = Array.from({ length: 36 }, () => {
    const angle = 2 * Math.PI * random();
    const length = (0.7 + 0.3 * random()) * radius;
    const tip = `${x + Math.cos(angle) * length} ${y + Math.sin(angle) * length}`;
    const colour = `hsl(${Math.round(46 + 12 * random())},95%,${Math.round(48 + 14 * random())}%)`;
    return `<path d="M${x} ${y}L${tip}" stroke="${colour}" stroke-width="${radius * 0.22}" stroke-linecap="round"/>`;
  });
  const heart = `<circle cx="${x}" cy="${y}" r="${radius * 0.3}" fill="#e08a10"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${inputSize}" height="${inputSize}">${strokes.join('')}${heart}</svg>`;
}
