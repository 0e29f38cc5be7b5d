import sharp, { type FailOnOptions, type Sharp } from 'sharp';
import { inputSize } from '../../contracts/training/training.js';
import { oneByOne } from '../one-by-one.js';
import { isHuge } from './decoding-work.js';
import type { ImageHeader, ImageLimits } from './header.js';
import type { RgbImage } from './resample.js';
import { decodeWholeJpeg } from './whole-jpeg.js';

// libvips caches recent operations with their pixels. Every image is decoded once, so the cache would only use memory.
sharp.cache(false);

/** Time limit against images made to decode endlessly; 100 megapixels take a few seconds. */
const longestDecodeSeconds = 30;

export interface DecodeOrder {
  header: ImageHeader;
  limits: Pick<ImageLimits, 'maxPixels'>;
  /** Images that were ingested before half ones were refused are still used. */
  acceptsPartial: boolean;
}

/** What becomes of the pixels in the decoder, before they are sRGB in 8 bits. */
export type Step = (image: Sharp) => Sharp;

/**
 * Decodes an image to 8-bit RGB: transparency is blended onto white, any colour space is converted to sRGB, and only the
 * first frame is used. The EXIF orientation is not applied.
 */
export async function decodeRaw(
  bytes: Uint8Array,
  { header, limits, acceptsPartial }: DecodeOrder,
  step: Step,
): Promise<Buffer> {
  const decode = (content: Uint8Array, failOn: FailOnOptions): Promise<Buffer> =>
    step(sharp(content, { failOn, limitInputPixels: limits.maxPixels }).flatten({ background: '#ffffff' }))
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .timeout({ seconds: longestDecodeSeconds })
      .toBuffer();
  // `truncated` is the laxest level that still refuses half an image; stricter ones refuse good photographs.
  const isChecked = header.format === 'jpeg' && !acceptsPartial;
  const whole = (): Promise<Buffer> => (isChecked ? decodeWholeJpeg(bytes, decode) : decode(bytes, 'truncated'));
  return isHuge(bytes) ? amongHuge(whole) : whole();
}

/** Decodes huge images one after another, because each can take hundreds of megabytes; others need not wait. */
const amongHuge = oneByOne();

/**
 * Longest side that `resample` gets. Longer sides are reduced to it by the decoder, which is faster and keeps the pixels
 * out of memory; at six times the input its rounding is lost in the average.
 */
const longestSide = 1344;

interface Size {
  width: number;
  height: number;
}

/**
 * By how much a JPEG is reduced at once. The decoder shrinks it to a quarter or a half while loading, for which it must be
 * asked for a little less. It could shrink to an eighth, the mean of each block; that is 12 of 255 off at sharp edges.
 */
const reductions = [5, 3];

/** A step that reduces a large JPEG to no less than twice the input, and the size it leaves; null for a smaller one. */
export function reducedOnLoad({ width, height }: Size): (Size & { step: Step }) | null {
  const by = reductions.find((reduction) => Math.min(width, height) >= 2 * inputSize * reduction);
  if (by === undefined) return null;
  const most = (side: number): number => Math.min(Math.floor(side / by), longestSide);
  const size = { width: most(width), height: most(height) };
  return { step: (image) => image.resize({ ...size, fit: 'fill', kernel: 'lanczos2' }), ...size };
}

/** A step, and the size it leaves, that reduces sides over `longestSide`. */
export function reduced({ width, height }: Size): Size & { step: Step } {
  const size = { width: Math.min(width, longestSide), height: Math.min(height, longestSide) };
  if (size.width === width && size.height === height) return { step: (image) => image, ...size };
  // With a colour space given, the decoder does not shrink while loading: how far it does depends on the format.
  const step: Step = (image) =>
    image.pipelineColourspace('srgb').resize(size.width, size.height, { fit: 'fill', kernel: 'linear' });
  return { step, ...size };
}

/** An image of any size, with sides over `longestSide` reduced. */
export async function reduceRaw(image: RgbImage): Promise<RgbImage> {
  const { step, width, height } = reduced(image);
  if (width === image.width && height === image.height) return image;
  const source = sharp(image.data, {
    raw: { width: image.width, height: image.height, channels: 3 },
    limitInputPixels: false,
  });
  return { data: await step(source).raw({ depth: 'uchar' }).toBuffer(), width, height };
}
