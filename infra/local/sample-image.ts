import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';

export interface SampleImage {
  /** What it is, for the user. */
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

const imageName = /\.(jpe?g|png|webp)$/i;
const largestBytes = 20_000_000;

/** An image to try the model on: the first of `<folder>/<class>/`, else a flower that is drawn here. */
export function sampleImage(folder: string | null): SampleImage {
  return (
    (folder === null ? null : firstImageIn(folder)) ?? { name: 'a yellow flower drawn here', bytes: flowerPng(224) }
  );
}

function firstImageIn(folder: string): SampleImage | null {
  try {
    for (const label of readdirSync(folder).sort()) {
      const path = join(folder, label);
      if (!statSync(path).isDirectory()) continue;
      const file = readdirSync(path)
        .sort()
        .find((name) => imageName.test(name) && statSync(join(path, name)).size <= largestBytes);
      if (file !== undefined)
        return { name: `${label}/${file}`, bytes: new Uint8Array(readFileSync(join(path, file))) };
    }
  } catch {
    // A folder that cannot be read was named in the ingestion's own message.
  }
  return null;
}

/** A yellow flower head on green, as a PNG. */
function flowerPng(side: number): Uint8Array<ArrayBuffer> {
  const rows = Buffer.alloc(side * (1 + side * 3));
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const [dx, dy] = [x / side - 0.5, y / side - 0.5];
      const petals = 0.24 + 0.05 * Math.cos(24 * Math.atan2(dy, dx));
      const shade = (x * 7 + ((y * x) % 13)) % 60;
      const colour =
        Math.hypot(dx, dy) < petals ? [215 + shade / 2, 180 + shade / 2, 20] : [40 + shade / 3, 90 + shade, 30];
      rows.set(colour, y * (1 + side * 3) + 1 + x * 3);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  // Eight bits a channel, RGB.
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
  return new Uint8Array(Buffer.concat([signature, ...chunks]));
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** Node has it built in from version 22 on. */
function crc32(bytes: Buffer): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ ((sum & 1) === 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}
