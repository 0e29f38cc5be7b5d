import { readFile } from 'node:fs/promises';
import sharp, { type Sharp } from 'sharp';
import { decodePixels, setThreadsPerImage } from '../../model/images/decode.js';
import { imagesBelow } from './images-below.js';
import { printTable } from './table.js';

const limits = { maxPixels: 100_000_000, maxBytes: 100_000_000, minSide: 8 };

/** How often each kind is decoded; the fastest turn counts, because others use the machine too. */
const [turns, photographs] = [5, 100];

/** CPU time, all threads together, from the bytes of a file to the input of a network. */
export async function benchDecode(datasetDir: string): Promise<void> {
  setThreadsPerImage(1);
  const files = imagesBelow(datasetDir);
  const small = await Promise.all(files.slice(0, photographs).map((path) => readFile(path)));
  const large = [enlarged(small[0] ?? Buffer.alloc(0))];
  const kinds: [what: string, images: Promise<Buffer[]>][] = [
    ['photographs as they are', Promise.resolve(small)],
    ['the same as progressive JPEG', written(small, (image) => image.jpeg({ progressive: true }))],
    ['the same as JPEG of quality 95', written(small, (image) => image.jpeg({ quality: 95 }))],
    ['the same as PNG', written(small, (image) => image.png())],
    ['the same as WebP', written(small, (image) => image.webp())],
    ['JPEG of 4000×3000', written(large, (image) => image.jpeg({ quality: 90 }))],
    ['progressive JPEG of 4000×3000', written(large, (image) => image.jpeg({ quality: 90, progressive: true }))],
  ];
  const figures = [];
  for (const [what, images] of kinds) {
    figures.push({ what, value: `${(await cpuMs(await images)).toFixed(2)} ms of CPU time an image` });
  }
  printTable('Decode and resample', figures);
}

function enlarged(photograph: Buffer): Sharp {
  return sharp(photograph).resize(4000, 3000, { fit: 'fill' });
}

function written(images: readonly (Buffer | Sharp)[], write: (image: Sharp) => Sharp): Promise<Buffer[]> {
  return Promise.all(images.map((image) => write(Buffer.isBuffer(image) ? sharp(image) : image.clone()).toBuffer()));
}

async function cpuMs(images: readonly Buffer[]): Promise<number> {
  let best = Infinity;
  for (let turn = 0; turn < turns; turn += 1) {
    const before = process.cpuUsage();
    for (const image of images) await decodePixels(image, limits);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000 / images.length);
  }
  return best;
}
