import turbo from '@julusian/jpeg-turbo';
import { isHuge } from './decoding-work.js';
import { ended, isUnended, type JpegFrame } from './jpeg-size.js';
import type { Lift, RgbImage } from './resample.js';

/** Most pixels that are decoded at once: about a hundredth of a second, during which the thread does nothing else. */
const mostPixels = 4_000_000;

/**
 * The smallest step of quantization with which the fast transform of this decoder is exact enough: qualities up to 92.
 * With finer steps some pixels would be 10 levels off and more.
 */
const finestStep = 2;

/**
 * Decodes a JPEG on this thread, without a hop to another: RGB in 8 bits, the EXIF orientation not applied. The pixels are
 * valid until the next call. Null for images that need another decoder: of four components, with a colour profile, huge,
 * of the highest qualities, or with anything to complain about.
 */
export function decodeWithTurbo(bytes: Uint8Array, frame: JpegFrame): RgbImage | null {
  if (!suits(frame) || isHuge(bytes)) return null;
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { width, height } = frame;
  const room = roomFor(width * height * 3);
  const data = decodeInto(room, content) ?? (isUnended(content, frame) ? decodeInto(room, ended(content)) : null);
  return data?.length === width * height * 3 ? { data, width, height } : null;
}

/** The size must be known for sure: the decoder multiplies width, height and 3 in 32 bits before it checks the room. */
function suits({ width, height, components, isFollowed, hasProfile, finestStep: step }: JpegFrame): boolean {
  const isSmall = width * height <= mostPixels;
  return isFollowed && isSmall && (components === 1 || components === 3) && !hasProfile && step >= finestStep;
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

/** Kept between calls, because clearing new memory would take as long as filling it. */
let kept = Buffer.alloc(0);

function roomFor(sizeBytes: number): Buffer {
  if (kept.length < sizeBytes) kept = Buffer.allocUnsafeSlow(sizeBytes);
  return kept;
}
