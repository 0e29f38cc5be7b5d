import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import type { ImageFile } from '../../model/jobs.js';
import { createRandom } from '../../model/seeded-random.js';
import { sha256Of } from './training-fixtures.js';

/** A picture that shows no class, or shows one badly. */
export interface ForeignPicture extends ImageFile {
  /** SHA-256 of the photograph it was made from. */
  madeFrom?: string;
}

type Random = () => number;

const side = 400;
const perKind = 20;

/** Drawings of what photographs of plants do not show, by kind. */
const drawings: Record<string, (random: Random, index: number) => Sharp> = {
  'pages of text': (_random, page) => drawSvg('#fff', linesOfText(page)),
  'drawings of shapes': (random) => drawSvg('#fff', shapes(random)),
  stripes: (random) => drawSvg(colourOf(random), stripes(random)),
  'colour gradients': (random) => drawSvg('#fff', gradient(random)),
  'one colour': (random) => drawSvg(colourOf(random), ''),
  'random pixels': (random) =>
    sharp(
      Uint8Array.from({ length: side * side * 3 }, () => 256 * random()),
      { raw: { width: side, height: side, channels: 3 } },
    ),
};

/** Draws 20 pictures of each kind as files; of some kinds only, if these are given. */
export async function drawForeignPictures(
  folder: string,
  kinds: readonly string[] = Object.keys(drawings),
): Promise<Map<string, ForeignPicture[]>> {
  const drawn = new Map<string, ForeignPicture[]>();
  for (const [kind, draw] of Object.entries(drawings).filter(([name]) => kinds.includes(name))) {
    const random = createRandom(1);
    const pictures = Array.from({ length: perKind }, (_, index) => draw(random, index));
    drawn.set(kind, await Promise.all(pictures.map((picture) => storePicture(folder, picture))));
  }
  return drawn;
}

const alterations: Record<string, (photograph: Sharp) => Sharp> = {
  'blurred photographs': (photograph) => photograph.blur(8),
  'grey photographs': (photograph) => photograph.greyscale(),
  'photographs upside down, inverted': (photograph) => photograph.rotate(180).negate(),
};

/** Makes a picture of each kind of each photograph, as files. */
export async function alterPhotographs(
  folder: string,
  photographs: readonly ImageFile[],
): Promise<Map<string, ForeignPicture[]>> {
  const altered = new Map<string, ForeignPicture[]>();
  for (const [kind, alter] of Object.entries(alterations)) {
    const pictures: ForeignPicture[] = [];
    for (const { sha256, path } of photographs) {
      const picture = await storePicture(folder, alter(sharp(await readFile(path))));
      pictures.push({ ...picture, madeFrom: sha256 });
    }
    altered.set(kind, pictures);
  }
  return altered;
}

/** Stores a picture as PNG under its SHA-256. */
async function storePicture(folder: string, picture: Sharp): Promise<ImageFile> {
  const bytes = await picture.png().toBuffer();
  const sha256 = sha256Of(bytes);
  const path = join(folder, `${sha256}.png`);
  await writeFile(path, bytes);
  return { sha256, path };
}

function drawSvg(background: string, content: string): Sharp {
  const size = `width="${side}" height="${side}"`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" ${size}><rect ${size} fill="${background}"/>${content}</svg>`;
  return sharp(Buffer.from(svg));
}

function linesOfText(page: number): string {
  return repeat(
    14,
    (line) => `<text x="10" y="${25 + line * 27}" font-size="18">Item ${page * 97 + line} of a list</text>`,
  );
}

function shapes(random: Random): string {
  const circle = (): string => `<circle r="${between(random, 20, 90)}" ${placeOf(random, 'c')}/>`;
  const box = (): string =>
    `<rect width="${between(random, 20, 140)}" height="${between(random, 20, 140)}" ${placeOf(random, '')}/>`;
  return repeat(between(random, 3, 11), () => (random() < 0.5 ? circle() : box()));
}

function placeOf(random: Random, prefix: string): string {
  const [x, y] = [between(random, 0, side), between(random, 0, side)];
  return `${prefix}x="${x}" ${prefix}y="${y}" fill="${colourOf(random)}"`;
}

function stripes(random: Random): string {
  const width = between(random, 6, 46);
  const bar = (place: number): string =>
    `<rect x="${2 * width * place - side}" y="${-side}" width="${width}" height="${3 * side}"/>`;
  const turn = `rotate(${between(random, 0, 180)} ${side / 2} ${side / 2})`;
  return `<g fill="${colourOf(random)}" transform="${turn}">${repeat((3 * side) / (2 * width), bar)}</g>`;
}

function gradient(random: Random): string {
  const stop = (offset: number): string => `<stop offset="${offset}" stop-color="${colourOf(random)}"/>`;
  const colours = `<linearGradient id="g" gradientTransform="rotate(${between(random, 0, 90)})">${repeat(2, stop)}</linearGradient>`;
  return `${colours}<rect width="${side}" height="${side}" fill="url(#g)"/>`;
}

function colourOf(random: Random): string {
  return `rgb(${[0, 1, 2].map(() => between(random, 0, 256)).join()})`;
}

/** A whole number from `low` to `high`, which is excluded. */
function between(random: Random, low: number, high: number): number {
  return Math.floor(low + random() * (high - low));
}

function repeat(times: number, draw: (index: number) => string): string {
  return Array.from({ length: Math.ceil(times) }, (_, index) => draw(index)).join('');
}
