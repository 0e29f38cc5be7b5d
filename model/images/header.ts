import sharp, { type Metadata } from 'sharp';
import type { ImageFormat, QuarantineReason } from '../../contracts/datasets/datasets.js';
import { headBytes, nameOfType, sniffFormat } from './format.js';
import { decodingWork, mostWorkPerPixel, workOf } from './decoding-work.js';
import { readJpegFrame, type JpegFrame } from './jpeg-size.js';

/** Limits of an image, checked before it is decoded. */
export interface ImageLimits {
  maxPixels: number;
  maxBytes: number;
  /** Shortest width or height, in pixels. */
  minSide: number;
}

/** Smallest accepted side in pixels: smaller images show nothing recognisable. */
export const minimumSide = 8;

/** Why an image is rejected: a reason code and a sentence for people. */
export interface ImageFault {
  ok: false;
  reason: QuarantineReason;
  detail: string;
}

export interface ImageHeader {
  ok: true;
  format: ImageFormat;
  /** As stored, before the EXIF orientation is applied. */
  width: number;
  height: number;
  /** EXIF orientation, 1 to 8. */
  orientation: number;
  /** Null for other formats, and where only the decoder can read the header. */
  jpeg: JpegFrame | null;
}

/** Reads an image's header, without decoding pixels, and checks it against the limits. */
export async function readHeader(bytes: Uint8Array, limits: ImageLimits): Promise<ImageHeader | ImageFault> {
  if (bytes.length > limits.maxBytes) {
    return fault('too_many_bytes', `The file has ${bytes.length} bytes; at most ${limits.maxBytes} are accepted.`);
  }
  const head = bytes.subarray(0, headBytes);
  const format = sniffFormat(head);
  if (format === null) {
    return fault('unsupported_type', `The content is not a JPEG, PNG or WebP image (found: ${nameOfType(head)}).`);
  }
  try {
    const jpeg = format === 'jpeg' ? readJpegFrame(bytes) : null;
    const { width, height, orientation = 1 } = jpeg ?? (await readWithDecoder(bytes));
    const header: ImageHeader = { ok: true, format, width, height, orientation, jpeg };
    return checkSize(header, limits) ?? checkWork(bytes, limits) ?? header;
  } catch (error) {
    return undecodable(bytes, format, error);
  }
}

function readWithDecoder(bytes: Uint8Array): Promise<Pick<Metadata, 'width' | 'height' | 'orientation'>> {
  // No pixel limit here: reading a header is cheap, and our own message can then give the size.
  return sharp(bytes, { limitInputPixels: false }).metadata();
}

/** The fault of an image on which the decoder failed with `error`: truncated when its data ends early. */
export function undecodable(bytes: Uint8Array, format: ImageFormat, error: unknown): ImageFault {
  const reason = error instanceof Error ? error.message.trim().replaceAll(/\s+/g, ' ') : String(error);
  return endsEarly(bytes, format, reason)
    ? fault('truncated', `The ${format} image is truncated; copy or download it again (${reason}).`)
    : fault('undecodable', `The ${format} image is damaged and cannot be decoded (${reason}).`);
}

function fault(reason: QuarantineReason, detail: string): ImageFault {
  return { ok: false, reason, detail };
}

function checkSize(header: Pick<ImageHeader, 'width' | 'height'>, limits: ImageLimits): ImageFault | null {
  const size = `${header.width}×${header.height} pixels`;
  if (header.width * header.height > limits.maxPixels) {
    return fault('too_many_pixels', `The image has ${size}; at most ${limits.maxPixels} pixels are accepted.`);
  }
  if (Math.min(header.width, header.height) < limits.minSide) {
    return fault('too_small', `The image has ${size}; each side needs at least ${limits.minSide}.`);
  }
  return null;
}

/** Refuses what takes as long and as much memory as an image with far more pixels, such as 16 bits in interlaced passes. */
function checkWork(bytes: Uint8Array, { maxPixels }: ImageLimits): ImageFault | null {
  const work = decodingWork(bytes);
  if (work === null || workOf(work) <= maxPixels * mostWorkPerPixel) return null;
  const most = Math.floor((maxPixels * mostWorkPerPixel) / work.perPixel);
  const image = `${work.width}×${work.height} pixels of ${work.manner}`;
  return fault('too_many_pixels', `The image has ${image}; stored that way, at most ${most} pixels are accepted.`);
}

function endsEarly(bytes: Uint8Array, format: ImageFormat, decoderMessage: string): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (format) {
    case 'jpeg':
      return bytes.length < 4 || /premature end/i.test(decoderMessage);
    case 'webp':
      return (
        bytes.length < 20 || view.getUint32(4, true) + 8 > bytes.length || view.getUint32(16, true) + 20 > bytes.length
      );
    case 'png':
      return !pngIsWhole(view);
  }
}

/** Walks a PNG's chunks: length, type, data, checksum. A complete file has an IEND chunk. */
function pngIsWhole(view: DataView): boolean {
  const iend = 0x49454e44;
  let at = 8;
  while (at + 12 <= view.byteLength) {
    if (view.getUint32(at + 4) === iend) return true;
    at += 12 + view.getUint32(at);
  }
  return false;
}
