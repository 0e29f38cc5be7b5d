import type { ImageFormat } from '../../contracts/datasets/datasets.js';
import { sniffFormat } from './format.js';
import { readJpegFrame, readScans } from './jpeg-size.js';

/** The work of decoding an image, by its header. */
export interface DecodingWork {
  width: number;
  height: number;
  /** About the nanoseconds of one core per pixel. */
  perPixel: number;
  /** What makes it: `4 channels of 16 bits, interlaced`. */
  manner: string;
}

/**
 * Work of an image above which it is huge: about a tenth of a second. Baseline photographs up to 37 megapixels, which are
 * decoded at a reduced size, stay below; a progressive one is huge from about 4 megapixels on, a PNG from 2.
 */
const hugeWork = 100_000_000;

/**
 * Most work per pixel, for an image with all the pixels that are accepted; a smaller one may have more. Progressive
 * photographs (10 scans: 27), lossless WebP (60) and interlaced PNG in 8 bits (63) are below, whatever their size.
 */
export const mostWorkPerPixel = 64;

/** The work of decoding an image; null if its header cannot be read here. */
export function decodingWork(bytes: Uint8Array): DecodingWork | null {
  const format = sniffFormat(bytes);
  return format === null ? null : readers[format](bytes);
}

/** Whether decoding takes so long that other images should not wait behind it. */
export function isHuge(bytes: Uint8Array): boolean {
  const work = decodingWork(bytes);
  return work !== null && workOf(work) > hugeWork;
}

export function workOf({ width, height, perPixel }: DecodingWork): number {
  return width * height * perPixel;
}

const readers: Record<ImageFormat, (bytes: Uint8Array) => DecodingWork | null> = {
  jpeg: jpegWork,
  png: pngWork,
  webp: webpWork,
};

function jpegWork(bytes: Uint8Array): DecodingWork | null {
  const frame = readJpegFrame(bytes);
  if (frame === null) return null;
  const { width, height, components, isProgressive, end } = frame;
  const passes = isProgressive ? readScans(bytes, end).scans : 1;
  const manner = `${components} components in ${isProgressive ? `${passes} progressive scans` : 'baseline'}`;
  return { width, height, perPixel: components * (1.3 + 0.9 * passes), manner };
}

/** Channels of each colour type; a palette is expanded. */
const pngChannels: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 3, 4: 2, 6: 4 };

function pngWork(bytes: Uint8Array): DecodingWork | null {
  if (bytes.length < 29) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, colour, interlace] = [view.getUint8(24), view.getUint8(25), view.getUint8(28)];
  const channels = pngChannels[colour] ?? 4;
  const whole = 15 + 9 * channels * (depth > 8 ? 2 : 1);
  const manner = `${channels} channels of ${depth} bits${interlace === 0 ? '' : ', interlaced'}`;
  return { width, height, perPixel: interlace === 0 ? whole : 1.5 * whole, manner };
}

function webpWork(bytes: Uint8Array): DecodingWork | null {
  const size = webpSize(bytes);
  if (size === null) return null;
  const isLossless = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('VP8L', 12, 'latin1');
  return { ...size, perPixel: isLossless ? 60 : 14, manner: isLossless ? 'lossless' : 'lossy' };
}

/** The size in the first chunk: a lossy image, a lossless one, or the canvas of an extended file. */
function webpSize(bytes: Uint8Array): { width: number; height: number } | null {
  if (bytes.length < 30) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (Buffer.from(bytes.subarray(12, 16)).toString('latin1')) {
    case 'VP8 ':
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    case 'VP8L': {
      const bits = view.getUint32(21, true);
      return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
    }
    case 'VP8X':
      return { width: (view.getUint32(24, true) & 0xffffff) + 1, height: (view.getUint32(26, true) >>> 8) + 1 };
    default:
      return null;
  }
}
