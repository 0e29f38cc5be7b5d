import sharp, { type JpegOptions, type Sharp } from 'sharp';
import { decodeImage, decodePixels } from '../../../../model/images/decode.js';
import { readJpegFrame } from '../../../../model/images/jpeg-size.js';
import { decodeWithTurbo } from '../../../../model/images/turbo-jpeg.js';
import { drawSyntheticImage } from '../../../../model/images/synthetic.js';
import { limits, pattern, plain } from './test-images.js';

function isFast(bytes: Uint8Array): boolean {
  const frame = readJpegFrame(bytes);
  return frame !== null && decodeWithTurbo(bytes, frame) !== null;
}

async function drawn(options: JpegOptions, adapt = (image: Sharp): Sharp => image): Promise<Buffer[]> {
  const images = await Promise.all([0, 1, 2, 3].map((index) => drawSyntheticImage('dandelion', index)));
  return Promise.all(images.map((image) => adapt(sharp(image)).jpeg(options).toBuffer()));
}

/** How far the input of a network is from that of the same JPEG decoded exactly: mean, largest, and the mean with its sign. */
async function deviation(jpegs: readonly Buffer[]): Promise<{ mean: number; largest: number; bias: number }> {
  let [sum, signed, largest, count] = [0, 0, 0, 0];
  for (const jpeg of jpegs) {
    expect(isFast(jpeg)).toBe(true);
    const exact = await decodePixels(await sharp(jpeg).png({ compressionLevel: 1 }).toBuffer(), limits);
    const pixels = await decodePixels(jpeg, limits);
    exact.forEach((value, at) => {
      const difference = (pixels[at] ?? NaN) - value;
      sum += Math.abs(difference);
      signed += difference;
      largest = Math.max(largest, Math.abs(difference));
    });
    count += exact.length;
  }
  return { mean: sum / count, largest, bias: signed / count };
}

describe('a JPEG decoded by the fast decoder', () => {
  it.each([
    ['of the usual quality', { quality: 80 }, 4],
    ['of full colour resolution', { quality: 75, chromaSubsampling: '4:4:4' }, 4],
    ['in progressive scans', { quality: 60, progressive: true }, 4],
    ['of the highest quality it decodes', { quality: 92 }, 8],
  ])('%s differs from an exact decoding by less than a level on average', async (_name, options, most) => {
    const { mean, largest, bias } = await deviation(await drawn(options));
    expect(mean).toBeLessThan(0.8);
    expect(Math.abs(bias)).toBeLessThan(0.15);
    expect(largest).toBeLessThanOrEqual(most);
  });

  it('in grey differs so little too', async () => {
    const { mean, bias } = await deviation(await drawn({ quality: 80 }, (image) => image.toColourspace('b-w')));
    expect(mean).toBeLessThan(0.8);
    expect(Math.abs(bias)).toBeLessThan(0.15);
  });

  it('with the profile of sRGB differs so little from its converted pixels', async () => {
    const { mean, largest, bias } = await deviation(
      await drawn({ quality: 80 }, (image) => image.withIccProfile('srgb')),
    );
    expect(mean).toBeLessThan(0.8);
    expect(Math.abs(bias)).toBeLessThan(0.15);
    expect(largest).toBeLessThanOrEqual(4);
  });

  it('keeps white within a level', async () => {
    const pixels = await decodePixels(await plain('#ffffff', 300, 200).jpeg().toBuffer(), limits);
    expect(pixels.every((value) => value >= 254)).toBe(true);
  });
});

describe('a JPEG that the fast decoder does not decode', () => {
  it.each([
    ['in CMYK', () => plain('#ff0000').toColourspace('cmyk').jpeg()],
    ['with a wider colour profile', () => pattern().withIccProfile('p3').jpeg()],
    ['of the highest quality', () => pattern().jpeg({ quality: 100 })],
    ['of millions of pixels', () => plain('#40a010', 2500, 2000).jpeg()],
  ])('%s is decoded by the other one', async (_name, draw) => {
    const bytes = await draw().toBuffer();
    expect(isFast(bytes)).toBe(false);
    expect((await decodeImage(bytes, limits)).ok).toBe(true);
  });

  /** A decoder takes the marker for one without a length, and finds the size behind it; a reader of lengths would skip it. */
  it('hides its size behind a marker that stands alone', async () => {
    const image = await plain('#40a010').jpeg().toBuffer();
    for (const marker of [0x01, 0xd0, 0xd7, 0xd8]) {
      const hiding = Buffer.concat([image.subarray(0, 2), Buffer.of(0xff, marker), image.subarray(2)]);
      expect(readJpegFrame(hiding)).toBeNull();
    }
  });

  it('has the profile of sRGB in grey, or twice', async () => {
    const [coloured, grey] = await Promise.all([
      pattern().withIccProfile('srgb').jpeg().toBuffer(),
      pattern().toColourspace('b-w').jpeg().toBuffer(),
    ]);
    const [part = new Uint8Array()] = readJpegFrame(coloured)?.profile ?? [];
    const head = Buffer.from('\xff\xe2\0\0ICC_PROFILE\0\x01\x01', 'latin1');
    head.writeUInt16BE(head.length - 2 + part.length, 2);
    const withIt = (image: Buffer): Buffer => Buffer.concat([image.subarray(0, 2), head, part, image.subarray(2)]);
    expect([isFast(coloured), isFast(grey)]).toEqual([true, true]);
    expect([isFast(withIt(coloured)), isFast(withIt(grey))]).toEqual([false, false]);
  });

  it('has its profile, or finer steps, between the frame and the first scan', async () => {
    const image = await plain('#40a010').jpeg().toBuffer();
    const end = readJpegFrame(image)?.end ?? 0;
    const profile = Buffer.from('\xff\xe2\0\x0eICC_PROFILE\0', 'latin1');
    const steps = Buffer.concat([Buffer.from('\xff\xdb\0\x43\0', 'latin1'), Buffer.alloc(64, 1)]);
    for (const segment of [profile, steps]) {
      const changed = Buffer.concat([image.subarray(0, end), segment, image.subarray(end)]);
      expect(readJpegFrame(changed)?.isFollowed).toBe(true);
      expect(isFast(changed)).toBe(false);
    }
    expect(isFast(image)).toBe(true);
  });
});
