import type { Sharp } from 'sharp';
import { decodeImage } from '../../../../model/images/decode.js';
import { decodingWork, isHuge, mostWorkPerPixel } from '../../../../model/images/decoding-work.js';
import { inspectImage } from '../../../../model/images/inspect.js';
import { readJpegFrame, readScans } from '../../../../model/images/jpeg-size.js';
import { limits, pattern, plain, pngClaiming } from './test-images.js';

const sizes = { width: 301, height: 203 };

function drawn(): Sharp {
  return pattern(sizes.width, sizes.height);
}

/** A progressive image whose last scan is repeated, which a decoder takes for refinements. */
async function withScans(repeats: number): Promise<Buffer> {
  const image = await drawn().jpeg({ progressive: true }).toBuffer();
  const last = image.lastIndexOf(Buffer.of(0xff, 0xda));
  const scans = Array.from({ length: repeats }, () => image.subarray(last, -2));
  return Buffer.concat([image.subarray(0, last), ...scans, image.subarray(-2)]);
}

describe('the work of decoding', () => {
  it.each([
    ['baseline JPEG', () => drawn().jpeg(), '3 components in baseline', 6.6],
    ['progressive JPEG', () => drawn().jpeg({ progressive: true }), '3 components in 10 progressive scans', 30.9],
    ['grey JPEG', () => drawn().toColourspace('b-w').jpeg(), '1 components in baseline', 2.2],
    ['PNG', () => drawn().png(), '3 channels of 8 bits', 42],
    ['interlaced PNG', () => drawn().png({ progressive: true }), '3 channels of 8 bits, interlaced', 63],
    [
      'interlaced PNG of 16 bits with transparency',
      () => drawn().ensureAlpha().toColourspace('rgb16').png({ progressive: true }),
      '4 channels of 16 bits, interlaced',
      130.5,
    ],
    ['lossy WebP', () => drawn().webp(), 'lossy', 14],
    ['lossless WebP', () => drawn().webp({ lossless: true }), 'lossless', 60],
    ['lossy WebP with EXIF', () => drawn().withMetadata({ orientation: 6 }).webp(), 'lossy', 14],
  ])('of a %s is known from its header', async (_name, draw, manner, perPixel) => {
    const work = decodingWork(await draw().toBuffer());
    expect(work).toMatchObject({ ...sizes, manner });
    expect(work?.perPixel).toBeCloseTo(perPixel);
  });

  it('is unknown of other bytes, and found without an error', () => {
    for (const head of ['\xff\xd8\xff', '\x89PNG\r\n\x1a\n', 'RIFF....WEBPVP8X', 'text', '']) {
      expect(decodingWork(Buffer.from(head, 'latin1'))).toBeNull();
    }
  });

  it('grows with every scan of a progressive image, whatever its segments contain', async () => {
    const image = await drawn().jpeg({ progressive: true }).toBuffer();
    const end = readJpegFrame(image)?.end ?? 0;
    expect(readScans(image, end).scans).toBe(10);
    const comment = Buffer.from('\xff\xfe\0\x08\xff\xd9\xff\xda\xff\xda', 'latin1');
    expect(readScans(Buffer.concat([image.subarray(0, end), comment, image.subarray(end)]), end).scans).toBe(10);
    expect(readScans(Buffer.concat([image, image]), end).scans).toBe(10);
    expect(readScans(await withScans(50), readJpegFrame(image)?.end ?? 0).scans).toBe(59);
    expect(readScans(Buffer.alloc(2_000_000, Buffer.of(0xff, 0)), 0).scans).toBe(Infinity);
  });

  it('allows every ordinary photograph of the most pixels', async () => {
    const ordinary = await Promise.all([
      drawn().jpeg().toBuffer(),
      drawn().jpeg({ progressive: true, optimiseScans: true, chromaSubsampling: '4:4:4' }).toBuffer(),
      drawn().png().toBuffer(),
      drawn().png({ progressive: true }).toBuffer(),
      drawn().ensureAlpha().png().toBuffer(),
      drawn().webp({ lossless: true }).toBuffer(),
    ]);
    for (const image of ordinary) expect(decodingWork(image)?.perPixel).toBeLessThan(mostWorkPerPixel);
    const exactly = { ...limits, maxPixels: sizes.width * sizes.height };
    for (const image of ordinary) expect((await inspectImage(image, exactly)).ok).toBe(true);
  });

  it('refuses what costs as much as far more pixels, with the figures', async () => {
    const image = await plain('#40a010', 400, 300)
      .ensureAlpha()
      .toColourspace('rgb16')
      .png({ progressive: true })
      .toBuffer();
    const tight = { ...limits, maxPixels: 120_000 };
    const fault = {
      ok: false,
      reason: 'too_many_pixels',
      detail:
        'The image has 400×300 pixels of 4 channels of 16 bits, interlaced; stored that way, at most 58850 pixels are accepted.',
    };
    expect(await decodeImage(image, tight)).toEqual(fault);
    expect(await inspectImage(image, tight)).toEqual(fault);
    expect((await decodeImage(image, { ...limits, maxPixels: 300_000 })).ok).toBe(true);
    const scans = await decodeImage(await withScans(50), { ...limits, maxPixels: sizes.width * sizes.height });
    expect(scans.ok ? '' : scans.detail).toContain('59 progressive scans');
  });

  it('makes an image huge', async () => {
    expect(isHuge(pngClaiming(2_000, 1_000))).toBe(false);
    expect(isHuge(pngClaiming(2_000, 1_500))).toBe(true);
    expect(isHuge(await plain('#40a010', 4_000, 3_000).jpeg().toBuffer())).toBe(false);
    expect(isHuge(await plain('#40a010', 2_400, 2_000).jpeg({ progressive: true }).toBuffer())).toBe(true);
    expect(isHuge(Buffer.from('text'))).toBe(false);
  });
});
