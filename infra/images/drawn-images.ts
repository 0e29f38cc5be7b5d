import { encodePng } from './png.js';

/** What a drawn image shows: dandelions in bloom, dandelions in bud, or grass alone. */
export type Subject = 'bloom' | 'buds' | 'grass';

export interface DrawnImage {
  name: string;
  /** The true class. */
  label: 'dandelion' | 'grass';
  bytes: Uint8Array<ArrayBuffer>;
}

const side = 128;

type Colour = readonly [number, number, number];

/** Images `from` to `from + count - 1` of a subject. */
export function drawImages(subject: Subject, count: number, from = 0): DrawnImage[] {
  return Array.from({ length: count }, (_, index) => drawImage(subject, from + index));
}

/** The same subject and index always give the same bytes. */
export function drawImage(subject: Subject, index: number): DrawnImage {
  const brush = createBrush((index + 1) * 7919 + ['bloom', 'buds', 'grass'].indexOf(subject));
  drawGrass(brush);
  if (subject === 'bloom') drawFlowers(brush);
  if (subject === 'buds') drawBuds(brush);
  return {
    name: `${subject}-${index}.png`,
    label: subject === 'grass' ? 'grass' : 'dandelion',
    bytes: encodePng(side, side, brush.rgb),
  };
}

interface Brush {
  rgb: Uint8Array;
  between(low: number, high: number): number;
  /** Draws a line with round ends. */
  stroke(from: Point, to: Point, width: number, colour: Colour): void;
}

type Point = readonly [number, number];

/** Draws with seeded random numbers (mulberry32), so that every machine draws the same images. */
function createBrush(seed: number): Brush {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const rgb = new Uint8Array(side * side * 3);
  return {
    rgb,
    between: (low, high) => low + random() * (high - low),
    stroke: (from, to, width, colour) => stroke(rgb, from, to, width, colour),
  };
}

function stroke(rgb: Uint8Array, [x0, y0]: Point, [x1, y1]: Point, width: number, colour: Colour): void {
  const reach = width / 2;
  const [dx, dy] = [x1 - x0, y1 - y0];
  const lengthSquared = Math.max(dx * dx + dy * dy, 1e-9);
  const clamp = (value: number): number => Math.min(side - 1, Math.max(0, Math.round(value)));
  for (let y = clamp(Math.min(y0, y1) - reach); y <= clamp(Math.max(y0, y1) + reach); y += 1) {
    for (let x = clamp(Math.min(x0, x1) - reach); x <= clamp(Math.max(x0, x1) + reach); x += 1) {
      const along = Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / lengthSquared));
      if (Math.hypot(x - x0 - along * dx, y - y0 - along * dy) <= reach) rgb.set(colour, (y * side + x) * 3);
    }
  }
}

/** Blades of grass in many shades of green. */
function drawGrass({ rgb, between, stroke: draw }: Brush): void {
  const light = between(0.7, 1.25);
  const green = (): Colour => [between(40, 110) * light, between(90, 160) * light, between(25, 60) * light];
  const ground = green();
  for (let pixel = 0; pixel < side * side; pixel += 1) rgb.set(ground, pixel * 3);
  for (let blade = between(140, 260); blade > 0; blade -= 1) {
    const [x, y] = [between(0, side), between(0, side * 1.15)];
    draw([x, y], [x + between(-12, 12), y - between(10, 45)], between(1, 3.5), green());
  }
}

/** Open yellow flower heads. */
function drawFlowers({ between, stroke: draw }: Brush): void {
  for (let flower = Math.round(between(1, 4)); flower > 0; flower -= 1) {
    const [x, y, radius] = [between(20, side - 20), between(20, side - 20), between(12, 26)];
    for (let petal = 0; petal < 40; petal += 1) {
      const [angle, length] = [between(0, 2 * Math.PI), between(0.7, 1.05) * radius];
      const tip: Point = [x + Math.cos(angle) * length, y + Math.sin(angle) * length];
      draw([x, y], tip, radius * 0.2, [between(225, 255), between(180, 220), between(0, 40)]);
    }
    draw([x, y], [x, y], radius * 0.7, [between(210, 235), between(140, 170), 10]);
  }
}

/** Closed green buds on pale stalks, without any yellow: a model that learnt yellow flowers takes them for grass. */
function drawBuds({ between, stroke: draw }: Brush): void {
  for (let bud = Math.round(between(4, 9)); bud > 0; bud -= 1) {
    const [x, y, width] = [between(10, side - 10), between(10, side - 30), between(8, 12)];
    draw([x, y], [x + between(-8, 8), y + between(25, 60)], 3, [between(140, 165), between(160, 180), 110]);
    draw([x, y], [x, y + 7], width, [between(60, 90), between(110, 140), between(50, 70)]);
  }
}
