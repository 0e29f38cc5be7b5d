import { deflateSync } from 'node:zlib';
import { decodeImage, decodePixels } from '../../../../model/images/decode.js';
import { limits, pattern, png } from './test-images.js';

const endOfImage = Buffer.of(0xff, 0xd9);

async function verdict(bytes: Uint8Array): Promise<string> {
  const decoded = await decodeImage(bytes, limits);
  return decoded.ok ? 'whole' : decoded.reason;
}

function jpeg(options: { progressive?: boolean } = {}): Promise<Buffer> {
  return pattern(300, 200).jpeg(options).toBuffer();
}

/** The header of the first scan says that it ends at the first coefficient, as some cameras write it. */
function withOddScanHeader(bytes: Buffer): Buffer {
  const odd = Buffer.from(bytes);
  const scan = odd.indexOf(Buffer.of(0xff, 0xda));
  odd[scan + odd.readUInt16BE(scan + 2)] = 0;
  return odd;
}

/** The file up to a share of it, with an end marker as some tools add it to a broken download. */
function cutAndEnded(bytes: Buffer, share: number): Buffer {
  return Buffer.concat([bytes.subarray(0, Math.floor(bytes.length * share)), endOfImage]);
}

describe('half a JPEG with an end marker', () => {
  it.each([0.3, 0.5, 0.9, 0.99])('is truncated when it is cut at %d of its length', async (share) => {
    expect(await verdict(cutAndEnded(await jpeg(), share))).toBe('truncated');
    expect(await verdict(cutAndEnded(await jpeg({ progressive: true }), share))).toBe('truncated');
  });

  it('is truncated when the decoder has something else to complain about first', async () => {
    const odd = withOddScanHeader(await jpeg());
    expect(await verdict(odd)).toBe('whole');
    expect(await verdict(cutAndEnded(odd, 0.5))).toBe('truncated');
  });

  it('is truncated with other data behind it', async () => {
    const half = cutAndEnded(await jpeg(), 0.5);
    expect(await verdict(Buffer.concat([half, await jpeg()]))).toBe('truncated');
  });

  it('is still decoded for a training whose images were ingested before', async () => {
    const half = cutAndEnded(await jpeg(), 0.5);
    expect(await decodePixels(half, limits, { acceptsPartial: true })).toHaveLength(224 * 224 * 3);
  });
});

describe('a JPEG with all its pixels', () => {
  it('is whole without its end marker, with the same pixels', async () => {
    for (const bytes of [await jpeg(), await jpeg({ progressive: true }), withOddScanHeader(await jpeg())]) {
      const pixels = await decodePixels(bytes, limits);
      expect(Buffer.compare(await decodePixels(bytes.subarray(0, -2), limits), pixels)).toBe(0);
      expect(Buffer.compare(await decodePixels(bytes.subarray(0, -1), limits), pixels)).toBe(0);
    }
  });

  it('is whole with anything behind its end marker: a video, another image, zeros', async () => {
    const bytes = await jpeg();
    for (const tail of [Buffer.from('\0\0\0\x18ftypmp42', 'latin1'), bytes, Buffer.alloc(1000)]) {
      expect(await verdict(Buffer.concat([bytes, tail]))).toBe('whole');
    }
  });

  it('is whole with spare bytes before its end marker', async () => {
    const bytes = await jpeg();
    expect(await verdict(Buffer.concat([bytes.subarray(0, -2), Buffer.alloc(30, 1), endOfImage]))).toBe('whole');
  });
});

describe('a PNG or WebP without all its pixels', () => {
  it.each([0.2, 0.5, 0.9])('is truncated when it is cut at %d of its length', async (share) => {
    for (const bytes of [
      await pattern(300, 200).png().toBuffer(),
      await pattern(300, 200).png({ progressive: true }).toBuffer(),
      await pattern(300, 200).webp().toBuffer(),
      await pattern(300, 200).webp({ lossless: true }).toBuffer(),
    ]) {
      expect(await verdict(bytes.subarray(0, Math.floor(bytes.length * share)))).toBe('truncated');
    }
  });

  it('is truncated when the length in the head of the WebP was corrected', async () => {
    const bytes = await pattern(300, 200).webp().toBuffer();
    const half = Buffer.from(bytes.subarray(0, (bytes.length >> 1) & ~1));
    half.writeUInt32LE(half.length - 8, 4);
    expect(await verdict(half)).toBe('truncated');
  });

  it('is refused when the PNG has an end chunk but rows are missing', async () => {
    const rows = Buffer.alloc(200 * (1 + 300 * 3));
    const withRows = (data: Buffer): Buffer => png(300, 200, deflateSync(data));
    expect(await verdict(withRows(rows))).toBe('whole');
    expect(await verdict(withRows(rows.subarray(0, rows.length / 2)))).toBe('undecodable');
    expect(await verdict(withRows(rows.subarray(0, -1)))).toBe('undecodable');
  });

  it('is whole when only the end chunk of the PNG is missing', async () => {
    const bytes = await pattern(300, 200).png().toBuffer();
    expect(await verdict(bytes.subarray(0, -12))).toBe('whole');
  });
});
