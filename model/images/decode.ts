import sharp from 'sharp';
import type { QuarantineReason } from '../../contracts/datasets/datasets.js';
import { PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { inputSize } from '../../contracts/training/training.js';
import { isHuge } from './decoding-work.js';
import { readHeader, undecodable, type ImageFault, type ImageHeader, type ImageLimits } from './header.js';

// libvips caches recent operations with their pixels. Every image is decoded once, so the cache would only use memory.
sharp.cache(false);

/** Time limit against images made to decode endlessly; 100 megapixels take a few seconds. */
const longestDecodeSeconds = 30;

/** Bytes of a decoded image: inputSize × inputSize × RGB. */
export const pixelBytes = inputSize * inputSize * 3;

export type Decoded = { ok: true; header: ImageHeader; pixels: Uint8Array } | ImageFault;

/**
 * Decodes an image to the input of every model: 224×224 RGB, uint8, row by row. The EXIF orientation is applied,
 * transparency is blended onto white, any colour space is converted to sRGB, only the first frame is used, and the
 * aspect ratio is not kept.
 */
export async function decodeImage(bytes: Uint8Array, limits: ImageLimits): Promise<Decoded> {
  const header = await readHeader(bytes, limits);
  if (!header.ok) return header;
  try {
    // `truncated` is the laxest level that still refuses half an image; stricter ones refuse good photographs.
    const decode = (): Promise<Buffer> =>
      sharp(bytes, { failOn: 'truncated', limitInputPixels: limits.maxPixels })
        .autoOrient()
        .flatten({ background: '#ffffff' })
        .resize(inputSize, inputSize, { fit: 'fill' })
        .toColourspace('srgb')
        .raw({ depth: 'uchar' })
        .timeout({ seconds: longestDecodeSeconds })
        .toBuffer();
    const pixels = await (isHuge(bytes) ? oneByOne(decode) : decode());
    if (pixels.length !== pixelBytes) throw new Error(`decoded to ${pixels.length} bytes instead of ${pixelBytes}`);
    return { ok: true, header, pixels };
  } catch (error) {
    return undecodable(bytes, header.format, error);
  }
}

let lastHuge: Promise<unknown> = Promise.resolve();

/** Decodes huge images one after another, because each can take hundreds of megabytes; others need not wait. */
function oneByOne(decode: () => Promise<Buffer>): Promise<Buffer> {
  const decoded = lastHuge.then(decode);
  lastHuge = decoded.catch(() => undefined);
  return decoded;
}

/**
 * The pixels of an image as `decodeImage` gives them. Training, evaluation and serving all use it.
 * @throws PerennialError unsupported_type, undecodable_image, image_too_large, image_too_small or too_large
 */
export async function decodePixels(bytes: Uint8Array, limits: ImageLimits): Promise<Uint8Array> {
  const decoded = await decodeImage(bytes, limits);
  if (!decoded.ok) throw new PerennialError(errorCodes[decoded.reason], `${decoded.detail} Send another image.`);
  return decoded.pixels;
}

/**
 * Sets how many threads decode one image, for the whole process. One is best where many images are decoded in parallel.
 */
export function setThreadsPerImage(threads: number): void {
  sharp.concurrency(threads);
}

const errorCodes = {
  unsupported_type: 'unsupported_type',
  undecodable: 'undecodable_image',
  truncated: 'undecodable_image',
  too_small: 'image_too_small',
  too_many_pixels: 'image_too_large',
  too_many_bytes: 'too_large',
  unreadable: 'undecodable_image',
  link_outside_source: 'undecodable_image',
  bad_label: 'bad_request',
  unsafe_entry: 'undecodable_image',
  not_listed: 'undecodable_image',
  erased: 'not_found',
} as const satisfies Record<QuarantineReason, ErrorCode>;
