import { crc32 } from 'node:zlib';
import { orientationOf, orientationOnly } from './orientation.js';

/** PNG chunks that pixels depend on; all others are removed. */
const pngChunks = new Set([
  'IHDR',
  'PLTE',
  'IDAT',
  'IEND',
  'tRNS',
  'cHRM',
  'gAMA',
  'iCCP',
  'sBIT',
  'sRGB',
  'cICP',
  'bKGD',
  'pHYs',
]);
const pngHead = 8;

/** A PNG without text, times and EXIF data except its orientation. Null when its chunks are malformed. */
export function stripPng(bytes: Buffer): Buffer | null {
  const kept: Buffer[] = [bytes.subarray(0, pngHead)];
  let orientation: number | null = null;
  for (let at = pngHead; ;) {
    if (at + 12 > bytes.length) return null;
    const size = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    const end = at + 12 + size;
    if (end > bytes.length) return null;
    if (type === 'eXIf') orientation ??= orientationOf(bytes.subarray(at + 8, end - 4));
    if (pngChunks.has(type)) kept.push(bytes.subarray(at, end));
    if (type === 'IEND') break;
    at = end;
  }
  if (orientation === null || orientation === 1) return Buffer.concat(kept);
  // After the header chunk, which comes first in every PNG.
  return Buffer.concat([...kept.slice(0, 2), pngExif(orientation), ...kept.slice(2)]);
}

function pngExif(orientation: number): Buffer {
  const typed = Buffer.concat([Buffer.from('eXIf', 'latin1'), orientationOnly(orientation)]);
  const chunk = Buffer.alloc(typed.length + 8);
  chunk.writeUInt32BE(typed.length - 4, 0);
  typed.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(typed), 4 + typed.length);
  return chunk;
}

const webpChunks = new Set(['VP8 ', 'VP8L', 'VP8X', 'ALPH', 'ANIM', 'ANMF', 'ICCP']);
const webpHead = 12;
/** Flags for EXIF and XMP data in the first byte of VP8X. */
const exifFlag = 0x08;
const xmpFlag = 0x04;
const exifHead = Buffer.from('Exif\0\0', 'latin1');

/** A WebP without XMP and EXIF data except its orientation. Null when its chunks are malformed. */
export function stripWebp(bytes: Buffer): Buffer | null {
  if (bytes.length < webpHead) return null;
  const end = bytes.readUInt32LE(4) + 8;
  if (end > bytes.length) return null;
  const kept: Buffer[] = [];
  let orientation: number | null = null;
  for (let at = webpHead; at < end;) {
    if (at + 8 > end) return null;
    const type = bytes.toString('latin1', at, at + 4);
    const size = bytes.readUInt32LE(at + 4);
    const next = at + 8 + size + (size % 2);
    if (at + 8 + size > end) return null;
    if (type === 'EXIF') orientation ??= orientationOf(withoutHead(bytes.subarray(at + 8, at + 8 + size)));
    if (webpChunks.has(type)) kept.push(Buffer.from(bytes.subarray(at, Math.min(next, end))));
    at = next;
  }
  const turned = orientation === null || orientation === 1 ? null : orientation;
  if (!announces(kept[0], turned !== null)) return null;
  const body = Buffer.concat(turned === null ? kept : [...kept, webpExif(turned)]);
  const head = Buffer.from(bytes.subarray(0, webpHead));
  head.writeUInt32LE(body.length + 4, 4);
  return Buffer.concat([head, body]);
}

/** Some writers put the EXIF prefix of JPEG before the data. */
function withoutHead(exif: Buffer): Buffer {
  return exif.subarray(0, exifHead.length).equals(exifHead) ? exif.subarray(exifHead.length) : exif;
}

/** Sets the EXIF and XMP flags of the extended header. False when there is EXIF data without such a header. */
function announces(first: Buffer | undefined, hasExif: boolean): boolean {
  if (first?.toString('latin1', 0, 4) !== 'VP8X') return !hasExif && first !== undefined;
  if (first.length < 9) return false;
  const flags = first.readUInt8(8) & ~(exifFlag | xmpFlag);
  first.writeUInt8(hasExif ? flags | exifFlag : flags, 8);
  return true;
}

function webpExif(orientation: number): Buffer {
  const tiff = orientationOnly(orientation);
  const head = Buffer.from('EXIF\0\0\0\0', 'latin1');
  head.writeUInt32LE(tiff.length, 4);
  return Buffer.concat([head, tiff]);
}
