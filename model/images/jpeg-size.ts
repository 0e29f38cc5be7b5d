/** Markers of frame headers (SOF0 to SOF15), without the three markers in that range that are not frames. */
const frames = new Set([0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);
/** Start of scan and end of image: no frame header comes after these. */
const ends = new Set([0xd9, 0xda]);

/**
 * Width and height of a JPEG image by its frame header; null when this simple reader does not find one, although the
 * image may be valid. Reading them with the decoder takes a tenth of the time of decoding a small photograph.
 */
export function readJpegSize(bytes: Uint8Array): { width: number; height: number } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 2;
  while (at + 9 <= view.byteLength) {
    const marker = view.getUint8(at + 1);
    const isSegment = view.getUint8(at) === 0xff && marker >= 0xc0 && marker < 0xff && !ends.has(marker);
    const length = view.getUint16(at + 2);
    if (!isSegment || length < 2) return null;
    if (frames.has(marker)) {
      const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
      return width > 0 && height > 0 ? { width, height } : null;
    }
    at += 2 + length;
  }
  return null;
}
