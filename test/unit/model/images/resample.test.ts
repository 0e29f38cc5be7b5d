import sharp, { type Sharp } from 'sharp';
import { decodePixels } from '../../../../model/images/decode.js';
import { drawSyntheticImage } from '../../../../model/images/synthetic.js';
import { limits } from './test-images.js';
import { referenceResample } from './reference-resample.js';

const side = 224;

/** Smooth and sharp parts, asymmetric in every direction. */
function draw(width: number, height: number): Buffer {
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0; at < width * height; at += 1) {
    const [x, y] = [at % width, Math.floor(at / width)];
    const isInside = x > width * 0.2 && x < width * 0.45 && y > height * 0.1 && y < height * 0.7;
    pixels[at * 3] = isInside ? 250 : Math.round((200 * x) / width);
    pixels[at * 3 + 1] = Math.round(128 + 100 * Math.sin(x / 3 + y / 7));
    pixels[at * 3 + 2] = (x * 7 + y * 13) % 61 < 30 ? 20 : 230;
  }
  return pixels;
}

function image(width: number, height: number): Sharp {
  return sharp(draw(width, height), { raw: { width, height, channels: 3 } });
}

function largestDifference(one: ArrayLike<number>, other: ArrayLike<number>): number {
  expect(one).toHaveLength(other.length);
  let largest = 0;
  for (let at = 0; at < one.length; at += 1) largest = Math.max(largest, Math.abs((one[at] ?? 0) - (other[at] ?? 0)));
  return largest;
}

/** How the pixels of an upright image must be stored to be shown upright with that orientation. */
const storedFor: readonly ((upright: Sharp) => Sharp)[] = [
  (upright) => upright,
  (upright) => upright.flop(),
  (upright) => upright.rotate(180),
  (upright) => upright.flip(),
  (upright) => upright.flip().rotate(90),
  (upright) => upright.rotate(270),
  (upright) => upright.flip().rotate(270),
  (upright) => upright.rotate(90),
];

async function withOrientation(width: number, height: number, orientation: number): Promise<Buffer> {
  const turn = storedFor[orientation - 1] ?? ((upright: Sharp): Sharp => upright);
  const stored = await turn(image(width, height)).png().toBuffer();
  return sharp(stored).withMetadata({ orientation }).png({ compressionLevel: 1 }).toBuffer();
}

describe('the input of a network', () => {
  it.each([
    [205, 246],
    [275, 183],
    [100, 80],
    [224, 224],
    [9, 500],
    [1344, 900],
  ])('of an image of %d×%d pixels is that of the reference resampler', async (width, height) => {
    const pixels = await decodePixels(await image(width, height).png().toBuffer(), limits);
    const expected = referenceResample({ data: draw(width, height), width, height }, side);
    expect(largestDifference(pixels, expected)).toBeLessThanOrEqual(1);
  });

  it('of a far larger image differs little from the reference resampler', async () => {
    const [width, height] = [2600, 1900];
    const pixels = await decodePixels(await image(width, height).png({ compressionLevel: 1 }).toBuffer(), limits);
    const expected = referenceResample({ data: draw(width, height), width, height }, side);
    expect(largestDifference(pixels, expected)).toBeLessThanOrEqual(4);
  });

  it.each([
    [2800, 2100],
    [4600, 2300],
    [4100, 4100],
  ])(
    'of a photograph of %d×%d pixels, shrunk while loading, differs little from its pixels in a PNG',
    async (width, height) => {
      const tile = await drawSyntheticImage('dandelion', 1);
      const bytes = await sharp(tile)
        .resize(width, height, { fit: 'fill', kernel: 'cubic' })
        .jpeg({ quality: 95 })
        .toBuffer();
      const png = await sharp(bytes).png({ compressionLevel: 1 }).toBuffer();
      expect(largestDifference(await decodePixels(bytes, limits), await decodePixels(png, limits))).toBeLessThanOrEqual(
        4,
      );
    },
  );

  it.each([
    [205, 246],
    [90, 301],
    [1600, 1203],
  ])('of %d×%d pixels is the same in all eight orientations', async (width, height) => {
    const upright = await decodePixels(await withOrientation(width, height, 1), limits);
    const shown = await sharp(await withOrientation(width, height, 7))
      .autoOrient()
      .raw()
      .toBuffer();
    expect(largestDifference(shown, draw(width, height))).toBe(0);
    for (const orientation of [2, 3, 4, 5, 6, 7, 8]) {
      const turned = await decodePixels(await withOrientation(width, height, orientation), limits);
      expect([orientation, largestDifference(turned, upright) <= 1]).toEqual([orientation, true]);
    }
  });

  it.each([
    [205, 246],
    [800, 600],
    [1700, 900],
  ])('of %d×%d pixels is the same in PNG and lossless WebP', async (width, height) => {
    const png = await decodePixels(await image(width, height).png().toBuffer(), limits);
    const webp = await decodePixels(await image(width, height).webp({ lossless: true, effort: 0 }).toBuffer(), limits);
    const interlaced = await decodePixels(await image(width, height).png({ progressive: true }).toBuffer(), limits);
    expect(largestDifference(webp, png)).toBe(0);
    expect(largestDifference(interlaced, png)).toBe(0);
  });

  it.each([
    [500, 400],
    [2003, 1507],
  ])('of a lossy WebP of %d×%d is that of its pixels in a PNG', async (width, height) => {
    const bytes = await image(width, height).webp().toBuffer();
    const png = await sharp(bytes).png({ compressionLevel: 1 }).toBuffer();
    expect(largestDifference(await decodePixels(bytes, limits), await decodePixels(png, limits))).toBe(0);
  });
});
