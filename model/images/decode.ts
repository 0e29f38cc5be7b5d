import sharp from 'sharp';
import type { QuarantineReason } from '../../contracts/datasets/datasets.js';
import { PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { inputSize } from '../../contracts/training/training.js';
import { readHeader, undecodable, type ImageFault, type ImageHeader, type ImageLimits } from './header.js';
import { orient } from './orient.js';
import { decodeRaw, reduced, reducedOnLoad, type DecodeOrder } from './raw-pixels.js';
import { resampleInPlace, type RgbImage } from './resample.js';
import { decodeWithTurbo, turboLift } from './turbo-jpeg.js';

/** Bytes of a decoded image: inputSize × inputSize × RGB. */
export const pixelBytes = inputSize * inputSize * 3;

export type Decoded = { ok: true; header: ImageHeader; pixels: Uint8Array } | ImageFault;

export interface DecodeOptions {
  /** Whether half an image is decoded too. */
  acceptsPartial?: boolean;
  /** Whether the pixels may lie where the next image of this thread will: saves a copy of them. */
  areLent?: boolean;
}

/**
 * Decodes an image to the input of every model: 224×224 RGB, uint8, row by row. The EXIF orientation is applied,
 * transparency is blended onto white, any colour space is converted to sRGB, only the first frame is used, and the
 * aspect ratio is not kept. Formats with the same pixels give the same input, in whatever orientation they are stored.
 */
export async function decodeImage(
  bytes: Uint8Array,
  limits: ImageLimits,
  { acceptsPartial = false, areLent = false }: DecodeOptions = {},
): Promise<Decoded> {
  const header = await readHeader(bytes, limits);
  if (!header.ok) return header;
  try {
    const pixels = await inputOf(bytes, { header, limits, acceptsPartial }, areLent);
    if (pixels.length !== pixelBytes) throw new Error(`decoded to ${pixels.length} bytes instead of ${pixelBytes}`);
    return { ok: true, header, pixels };
  } catch (error) {
    return undecodable(bytes, header.format, error);
  }
}

/** The orientation is applied last: to the fewest pixels, and without an effect on the resampling. */
async function inputOf(bytes: Uint8Array, order: DecodeOrder, areLent: boolean): Promise<Uint8Array> {
  const { jpeg, orientation } = order.header;
  const fast = jpeg && decodeWithTurbo(bytes, jpeg);
  const lent = fast ? resampleInPlace(fast, turboLift(jpeg)) : resampleInPlace(await decodeReduced(bytes, order));
  // Copied before anything is awaited: another image may come next.
  const data = areLent ? lent : lent.slice();
  return orient({ data, width: inputSize, height: inputSize }, orientation).data;
}

async function decodeReduced(bytes: Uint8Array, order: DecodeOrder): Promise<RgbImage> {
  const { header } = order;
  const { step, width, height } = (header.format === 'jpeg' ? reducedOnLoad(header) : null) ?? reduced(header);
  const data = await decodeRaw(bytes, order, step);
  if (data.length !== width * height * 3)
    throw new Error(`decoded to ${data.length} bytes, not ${width}×${height} RGB`);
  return { data, width, height };
}

/**
 * The pixels of an image as `decodeImage` gives them. Training, evaluation and serving all use it.
 * @throws PerennialError unsupported_type, undecodable_image, image_too_large, image_too_small or too_large
 */
export async function decodePixels(
  bytes: Uint8Array,
  limits: ImageLimits,
  options: DecodeOptions = {},
): Promise<Uint8Array> {
  const decoded = await decodeImage(bytes, limits, options);
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
