import type { FailOnOptions } from 'sharp';
import { ended, readJpegFrame, readScans } from './jpeg-size.js';

/** Decodes a file; `strictness` is the weakest complaint of the decoder that makes it fail. */
export type Decode = (bytes: Uint8Array, strictness: FailOnOptions) => Promise<Buffer>;

/** How libjpeg says that the data of a scan ends early: at a marker, or at the end marker in place of a restart. */
const dataEndsEarly = /premature end of data segment|found marker 0xd9 instead of RST/i;
/** How libjpeg says that the file ends before its end marker. */
const fileEndsEarly = /premature end of JPEG/i;

/**
 * Decodes a JPEG if all its pixels are there. To the decoder missing data is a mere warning if an end marker follows, as is
 * much that good photographs have; so each warning is looked at. A missing end marker is added: only pixels count.
 * @throws the decoder's error; its message says "premature end" when pixels are missing
 */
export async function decodeWholeJpeg(bytes: Uint8Array, decode: Decode): Promise<Buffer> {
  try {
    return await decode(bytes, 'warning');
  } catch (error) {
    const isEnded = !fileEndsEarly.test(String(error)) && endOf(bytes) !== bytes.length;
    return await decodeWarned(isEnded ? bytes : ended(bytes), decode);
  }
}

async function decodeWarned(bytes: Uint8Array, decode: Decode): Promise<Buffer> {
  try {
    return await decode(bytes, 'warning');
  } catch (error) {
    if (dataEndsEarly.test(String(error))) throw error;
    const pixels = await decode(bytes, 'truncated');
    await checkData(bytes, decode);
    return pixels;
  }
}

/** More than the decoder reads ahead. */
const spareBytes = 16;

/**
 * The decoder reports its first warning only, which may hide that data is missing. With zeros in place of the end marker it
 * runs into the end of the file then, which is an error. A progressive image always reads on to the end marker.
 */
async function checkData(bytes: Uint8Array, decode: Decode): Promise<void> {
  if (readJpegFrame(bytes)?.isProgressive ?? true) return;
  const data = bytes.subarray(0, endOf(bytes) ?? bytes.length);
  await decode(Buffer.concat([data, Buffer.alloc(spareBytes)]), 'truncated');
}

/** Where the end marker is, or the length of a file without one; null when its segments cannot be read. */
function endOf(bytes: Uint8Array): number | null {
  const frame = readJpegFrame(bytes);
  return frame && readScans(bytes, frame.end).end;
}
