import { deflateSync, crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';

export const limits = { maxPixels: 100_000_000, maxBytes: 20_000_000, minSide: 8 };

/** An image with detail in every pixel, so that no format compresses it to next to nothing. */
export function pattern(width = 64, height = 48): Sharp {
  const pixels = Buffer.alloc(width * height * 3);
  for (let index = 0; index < pixels.length; index += 1) pixels[index] = (index * 7919 + (index >> 5) * 104729) % 251;
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

export function plain(colour: string, width = 32, height = 32): Sharp {
  return sharp({ create: { width, height, channels: 3, background: colour } });
}

/** A well-formed PNG whose header claims this size, with 100 bytes of pixel data. */
export function pngClaiming(width: number, height: number): Buffer {
  return png(width, height, deflateSync(Buffer.alloc(100)));
}

/** A PNG of 8-bit RGB with these compressed rows. */
export function png(width: number, height: number, data: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunks = [chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
