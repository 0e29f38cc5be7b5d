import sharp from 'sharp';
import type { ImageFormat, QuarantineReason } from '../../contracts/datasets/datasets.js';
import { headBytes, nameOfType, sniffFormat } from './format.js';
import { readJpegSize } from './jpeg-size.js';

/** What an image may be at most and must be at least; checked before anything is decoded. */
export interface ImageLimits {
  maxPixels: number;
  maxBytes: number;
  /** Shortest width or height, in pixels. */
  minSide: number;
}

/** The shortest side of an image that still shows something. */
export const minimumSide = 8;

/** Why an image is not accepted: a reason for the record and a sentence for people. */
export interface ImageFault {
  ok: false;
  reason: QuarantineReason;
  detail: string;
}

export interface ImageHeader {
  ok: true;
  format: ImageFormat;
  /** As stored: an EXIF orientation that swaps the sides when shown is not applied. */
  width: number;
  height: number;
}

/** Reads what an image says of itself, without decoding a pixel, and holds it against the limits. */
export async function readHeader(bytes: Uint8Array, limits: ImageLimits): Promise<ImageHeader | ImageFault> {
  if (bytes.length > limits.maxBytes) {
    return fault('too_many_bytes', `The file has ${bytes.length} bytes; at most ${limits.maxBytes} are accepted.`);
  }
  const head = bytes.subarray(0, headBytes);
  const format = sniffFormat(head);
  if (format === null) {
    return fault('unsupported_type', `This is no JPEG, PNG or WebP image by its content: ${nameOfType(head)}.`);
  }
  try {
    const { width, height } = (format === 'jpeg' ? readJpegSize(bytes) : null) ?? (await readSizeWithDecoder(bytes));
    return checkSize({ ok: true, format, width, height }, limits);
  } catch (error) {
    return undecodable(bytes, format, error);
  }
}

function readSizeWithDecoder(bytes: Uint8Array): Promise<{ width: number; height: number }> {
  // No pixel limit here: a header costs nothing to read, and our own message can then name the size.
  return sharp(bytes, { limitInputPixels: false }).metadata();
}

/** The fault of an image whose decoder gave up with `error`: truncated when its data ends early. */
export function undecodable(bytes: Uint8Array, format: ImageFormat, error: unknown): ImageFault {
  const said = error instanceof Error ? error.message.trim().replaceAll(/\s+/g, ' ') : String(error);
  return endsEarly(bytes, format, said)
    ? fault('truncated', `The ${format} image ends before its data does; copy or download it again (${said}).`)
    : fault('undecodable', `The ${format} image is damaged and cannot be decoded (${said}).`);
}

function fault(reason: QuarantineReason, detail: string): ImageFault {
  return { ok: false, reason, detail };
}

function checkSize(header: ImageHeader, limits: ImageLimits): ImageHeader | ImageFault {
  const size = `${header.width}×${header.height} pixels`;
  if (header.width * header.height > limits.maxPixels) {
    return fault('too_many_pixels', `The image has ${size}; at most ${limits.maxPixels} pixels are accepted.`);
  }
  if (Math.min(header.width, header.height) < limits.minSide) {
    return fault('too_small', `The image has ${size}; each side needs at least ${limits.minSide}.`);
  }
  return header;
}

function endsEarly(bytes: Uint8Array, format: ImageFormat, decoderMessage: string): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (format) {
    case 'jpeg':
      return bytes.length < 4 || /premature end/i.test(decoderMessage);
    case 'webp':
      return view.getUint32(4, true) + 8 > bytes.length;
    case 'png':
      return !pngIsWhole(view);
  }
}

/** Walks a PNG's chunks: length, type, data, checksum. A whole one comes to its IEND chunk. */
function pngIsWhole(view: DataView): boolean {
  const iend = 0x49454e44;
  let at = 8;
  while (at + 12 <= view.byteLength) {
    if (view.getUint32(at + 4) === iend) return true;
    at += 12 + view.getUint32(at);
  }
  return false;
}
