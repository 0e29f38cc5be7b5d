import turbo from '@julusian/jpeg-turbo';
import { isHuge } from './decoding-work.js';
import { ended, isUnended, type JpegFrame } from './jpeg-size.js';
import { pixelRoom, type Lift, type RgbImage } from './resample.js';
import { isSrgbProfile } from './srgb-profile.js';

/** Most pixels that are decoded at once: about a hundredth of a second, during which the thread does nothing else. */
const mostPixels = 4_000_000;
/** Longest side, because the resampler takes memory for each row. */
const longestSide = 4096;

/**
 * The smallest step of quantization with which the fast transform of this decoder is exact enough: qualities up to 92.
 * With finer steps some pixels would be 10 levels off and more.
 */
const finestStep = 2;

/**
 * Decodes a JPEG on this thread, without a hop to another: RGB in 8 bits, the EXIF orientation not applied. The pixels are
 * valid until the next call. Null for images that need another decoder: of four components, with a colour profile other
 * than sRGB, huge, of the highest qualities, or with anything to complain about.
 */
export function decodeWithTurbo(bytes: Uint8Array, frame: JpegFrame): RgbImage | null {
  if (!suits(frame) || isHuge(bytes)) return null;
  const content = bufferOf(bytes);
  const { width, height } = frame;
  const room = bufferOf(pixelRoom(width, height));
  const data = decodeInto(room, content) ?? (isUnended(content, frame) ? decodeInto(room, ended(content)) : null);
  return data?.length === width * height * 3 ? { data, width, height } : null;
}

/** The size must be known for sure: the decoder multiplies width, height and 3 in 32 bits before it checks the room. */
function suits(frame: JpegFrame): boolean {
  const { width, height, components } = frame;
  const isSmall = width * height <= mostPixels && Math.max(width, height) <= longestSide;
  const isKnown = frame.isFollowed && isSmall && (components === 1 || components === 3);
  return isKnown && frame.finestStep >= finestStep && isSrgb(frame);
}

/** Whether no profile changes the colours. */
function isSrgb({ components, profile: [first, ...more] }: JpegFrame): boolean {
  return first === undefined || (components === 3 && more.length === 0 && isSrgbProfile(first));
}

function decodeInto(room: Buffer, content: Buffer): Buffer | null {
  try {
    return turbo.decompressSync(content, room, { format: turbo.FORMAT_RGB }).data;
  } catch {
    // Errors and warnings alike, without a reason: another decoder will find it.
    return null;
  }
}

/**
 * What must be added to its red, green and blue on average. Its transform cuts off fractions of luminance and colour
 * differences instead of rounding them, which is 0.45 each; conversion to RGB makes these levels of it.
 */
export function turboLift({ components }: JpegFrame): Lift {
  return components === 1 ? [0.45, 0.45, 0.45] : [1.08, -0.03, 1.25];
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
