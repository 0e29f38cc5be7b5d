import sharp from 'sharp';
import type { PixelIdentity } from '../../../../contracts/datasets/datasets.js';
import { inspectImage } from '../../../../model/images/inspect.js';
import { drawSyntheticImage } from '../../../../model/images/synthetic.js';
import { limits, pattern } from './test-images.js';

async function identityOf(bytes: Uint8Array): Promise<PixelIdentity> {
  const inspection = await inspectImage(bytes, limits);
  if (!inspection.ok) throw new Error(inspection.detail);
  return inspection.facts;
}

/** A comment segment behind the start of a JPEG: other bytes, the same pixels. */
function withComment(bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, 2), Buffer.from('\xff\xfe\0\x06spot', 'latin1'), bytes.subarray(2)]);
}

function differingBits(one: string, other: string): number {
  return (BigInt(`0x${one}`) ^ BigInt(`0x${other}`)).toString(2).replaceAll('0', '').length;
}

/** A JPEG of 24×18 pixels: a yellow disc on green. */
const fixedJpeg =
  '/9j/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBD' +
  'AQoLCw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAASABgD' +
  'ASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAAAAUE/8QAIRAAAgEEAgIDAAAAAAAAAAAAAQIAAwQFEQYhE3ESMdH/xAAYAQEA' +
  'AwEAAAAAAAAAAAAAAAAAAgQFBv/EABwRAAICAgMAAAAAAAAAAAAAAAABAgMEIhEh8P/aAAwDAQACEQMRAD8Aw8WwdHM3dU3LHw0A' +
  'CyqdFid6HroylyfjFlY4431irUvGQHQsWBBOt9972RIGGzNxhbo1qKh1cadG+mH7Nmc5TcZmgLcUVt6O9sob5Fj766nN2V5LyVKL' +
  '09z0QhOlUNNbEOIiaJTEREAREQD/2Q==';
const fixedIdentity = {
  pixelSha256: '42cc1d1b23b750d72f4572bca91c613b74e05e5ad47debe2d7b3aef4020ffd48',
  pixelVersion: 1,
  perceptualHash: '941c3e3c1c1caa78',
};
const fixedPattern = 'bb34aa6efbab956f449a78e91a74d26bc25a308a11b6df9886a141b03e5849d4';

describe('the digest of the pixels', () => {
  it('is the same for the same pixels in other bytes, formats and orientations', async () => {
    const jpeg = await drawSyntheticImage('dandelion', 3);
    const png = await sharp(jpeg).png().toBuffer();
    const files = [
      withComment(jpeg),
      png,
      await sharp(png).webp({ lossless: true }).toBuffer(),
      await sharp(await sharp(png).rotate(270).png().toBuffer())
        .withMetadata({ orientation: 6 })
        .png()
        .toBuffer(),
      jpeg.subarray(0, -2),
    ];
    const { pixelSha256 } = await identityOf(jpeg);
    for (const file of files) expect((await identityOf(file)).pixelSha256).toBe(pixelSha256);
  });

  it('is another for other pixels, and for the same bytes of another shape', async () => {
    const row = { width: 64, height: 16, channels: 3 } as const;
    const pixels = Buffer.alloc(64 * 16 * 3, 90);
    const files = [
      await sharp(pixels, { raw: row }).png().toBuffer(),
      await sharp(pixels, { raw: { ...row, width: 16, height: 64 } })
        .png()
        .toBuffer(),
      await sharp(Buffer.from(pixels).fill(91, 100, 101), { raw: row })
        .png()
        .toBuffer(),
    ];
    const digests = await Promise.all(files.map(async (file) => (await identityOf(file)).pixelSha256));
    expect(new Set(digests).size).toBe(3);
  });

  it('of fixed files never changes; where it must, pixelVersion rises', async () => {
    const jpeg = Buffer.from(fixedJpeg, 'base64');
    expect(await identityOf(jpeg)).toMatchObject(fixedIdentity);
    expect(await identityOf(await pattern(40, 30).png().toBuffer())).toMatchObject({ pixelSha256: fixedPattern });
  });
});

describe('the perceptual hash', () => {
  it('differs in few bits for a scaled and re-encoded copy, in many for another image', async () => {
    const image = await drawSyntheticImage('dandelion', 3);
    const copy = await sharp(image).resize(150, 140, { fit: 'fill' }).jpeg({ quality: 60 }).toBuffer();
    const { perceptualHash } = await identityOf(image);
    expect(perceptualHash).toMatch(/^[0-9a-f]{16}$/);
    expect(differingBits((await identityOf(copy)).perceptualHash, perceptualHash)).toBeLessThanOrEqual(3);
    for (const index of [4, 5, 6]) {
      const other = await identityOf(await drawSyntheticImage('dandelion', index));
      expect(differingBits(other.perceptualHash, perceptualHash)).toBeGreaterThan(8);
    }
  });
});
