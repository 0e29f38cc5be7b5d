import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp, { type Sharp } from 'sharp';
import { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { decodePixels, setThreadsPerImage } from '../../model/images/decode.js';
import { packageRoot } from '../../platform/paths.js';
import type { PythonTools } from '../support/python.js';
import { imagesBelow } from './images-below.js';
import { preparePeer } from './peer/peer-server.js';
import { printColumns } from './table.js';

const run = promisify(execFile);
const limits = { maxPixels: 100_000_000, maxBytes: 100_000_000, minSide: 8 };

/** How often each kind is decoded; the fastest turn counts, because others use the machine too. */
const [turns, photographs] = [5, 100];

const columns = ['CPU ms an image', 'Perennial', 'PIL', 'PIL, shrinking on load'];

/** CPU time, all threads together, from the bytes of a file to the input of a network, beside PIL's where Python has it. */
export async function benchDecode(datasetDir: string): Promise<void> {
  setThreadsPerImage(1);
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const program = await preparePeer().catch((error: unknown) => {
    process.stdout.write(`PIL is skipped: ${messageOf(error).split('\n')[0] ?? ''}\n`);
  });
  try {
    const rows: string[][] = [];
    for (const [what, images] of await kindsOf(datasetDir)) {
      const peer = program ? await peerCpuMs(program, join(folder, String(rows.length)), images) : [];
      rows.push([what, ...[await cpuMs(images), ...peer].map((ms) => ms.toFixed(2))]);
    }
    printColumns('Decode and resample', program ? columns : columns.slice(0, 2), rows);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function kindsOf(datasetDir: string): Promise<[what: string, images: Buffer[]][]> {
  const files = imagesBelow(datasetDir).slice(0, photographs);
  const small = await Promise.all(files.map((path) => readFile(path)));
  const large = [enlarged(small[0] ?? Buffer.alloc(0))];
  return [
    ['photographs as they are', small],
    ['the same with a profile of sRGB', await written(small, (image) => image.withIccProfile('srgb').jpeg())],
    ['the same as progressive JPEG', await written(small, (image) => image.jpeg({ progressive: true }))],
    ['the same as JPEG of quality 95', await written(small, (image) => image.jpeg({ quality: 95 }))],
    ['the same as PNG', await written(small, (image) => image.png())],
    ['the same as WebP', await written(small, (image) => image.webp())],
    ['JPEG of 4000×3000', await written(large, (image) => image.jpeg({ quality: 90 }))],
    ['progressive JPEG of 4000×3000', await written(large, (image) => image.jpeg({ quality: 90, progressive: true }))],
  ];
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

async function peerCpuMs(
  program: PythonTools['program'],
  folder: string,
  images: readonly Buffer[],
): Promise<number[]> {
  await mkdir(folder);
  await Promise.all(images.map((image, index) => writeFile(join(folder, String(index)), image)));
  const script = join(packageRoot, 'test', 'bench', 'peer', 'decode.py');
  const { stdout } = await run(program('python'), [script, folder, String(turns)]);
  return z.array(z.number()).parse(JSON.parse(stdout));
}
