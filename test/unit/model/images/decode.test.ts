import { PerennialError } from '../../../../contracts/errors.js';
import { decodePixels, pixelBytes } from '../../../../model/images/decode.js';
import { limits, pattern, plain, pngClaiming } from './test-images.js';
import sharp from 'sharp';

/** The colour of the pixel at these shares of width and height. */
function pixelAt(pixels: Uint8Array, x: number, y: number): number[] {
  const at = (Math.floor(y * 223) * 224 + Math.floor(x * 223)) * 3;
  return [...pixels.subarray(at, at + 3)];
}

function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 4): void {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, index) => expect(Math.abs(value - (expected[index] ?? NaN))).toBeLessThanOrEqual(tolerance));
}

async function codeOf(bytes: Uint8Array): Promise<string> {
  const error: unknown = await decodePixels(bytes, limits).catch((thrown: unknown) => thrown);
  return error instanceof PerennialError ? error.code : 'none';
}

const orange = '#ff8020';
const orangeRgb = [255, 128, 32];

describe('decodePixels', () => {
  it.each(['jpeg', 'png', 'webp'] as const)('gives 224×224 RGB bytes of a %s image of any shape', async (format) => {
    const pixels = await decodePixels(await plain(orange, 100, 37).toFormat(format).toBuffer(), limits);
    expect(pixels).toHaveLength(pixelBytes);
    expect(pixelBytes).toBe(224 * 224 * 3);
    expectClose(pixelAt(pixels, 0.5, 0.5), orangeRgb);
  });

  it('gives the same pixels every time', async () => {
    const bytes = await pattern(301, 203).jpeg().toBuffer();
    expect(Buffer.compare(await decodePixels(bytes, limits), await decodePixels(bytes, limits))).toBe(0);
  });

  it('keeps the pixels of images that are decoded at once apart', async () => {
    const files = await Promise.all([120, 160, 301].map((width) => pattern(width, 203).jpeg().toBuffer()));
    const alone: Uint8Array[] = [];
    for (const file of files) alone.push(await decodePixels(file, limits));
    expect(await Promise.all(files.map((file) => decodePixels(file, limits)))).toEqual(alone);
  });

  it('lends the same pixels until the next image, where a copy is not wanted', async () => {
    const [file, next] = [await pattern(301, 203).jpeg().toBuffer(), await plain(orange, 50, 50).jpeg().toBuffer()];
    const lent = await decodePixels(file, limits, { areLent: true });
    expect(Buffer.compare(lent, await decodePixels(file, limits))).toBe(0);
    await decodePixels(next, limits);
    expectClose(pixelAt(lent, 0.5, 0.5), orangeRgb);
  });

  it('applies the EXIF orientation', async () => {
    const left = await plain('#000000', 20, 40).png().toBuffer();
    const bytes = await plain('#ffffff', 40, 40)
      .composite([{ input: left, left: 0, top: 0 }])
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    // Orientation 6 is shown a quarter turn clockwise: what is stored on the left is on top.
    const pixels = await decodePixels(bytes, limits);
    expectClose(pixelAt(pixels, 0.5, 0.1), [0, 0, 0]);
    expectClose(pixelAt(pixels, 0.5, 0.9), [255, 255, 255]);
  });

  it('blends transparency onto white', async () => {
    const clear = sharp({
      create: { width: 32, height: 32, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0 } },
    });
    expectClose(pixelAt(await decodePixels(await clear.png().toBuffer(), limits), 0.5, 0.5), [255, 255, 255]);
    const half = sharp({
      create: { width: 32, height: 32, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0.5 } },
    });
    expectClose(
      pixelAt(await decodePixels(await half.webp({ lossless: true }).toBuffer(), limits), 0.5, 0.5),
      [255, 127, 127],
    );
  });

  it('scales 16-bit samples down to 8 bits', async () => {
    const bytes = await plain(orange).toColourspace('rgb16').png().toBuffer();
    expect((await sharp(bytes).metadata()).depth).toBe('ushort');
    expectClose(pixelAt(await decodePixels(bytes, limits), 0.5, 0.5), orangeRgb);
  });

  it('reads 16-bit samples with transparency', async () => {
    const bytes = await sharp({
      create: { width: 32, height: 32, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0 } },
    })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expectClose(pixelAt(await decodePixels(bytes, limits), 0.5, 0.5), [255, 255, 255]);
  });

  it('turns CMYK into sRGB', async () => {
    const bytes = await plain('#ff0000').toColourspace('cmyk').jpeg().toBuffer();
    expect((await sharp(bytes).metadata()).space).toBe('cmyk');
    const [red = 0, green = 255, blue = 255] = pixelAt(await decodePixels(bytes, limits), 0.5, 0.5);
    expect(red).toBeGreaterThan(200);
    expect(Math.max(green, blue)).toBeLessThan(80);
  });

  it('reads grey and palette images as RGB', async () => {
    const grey = await plain('#808080').toColourspace('b-w').png().toBuffer();
    expect((await sharp(grey).metadata()).channels).toBe(1);
    expectClose(pixelAt(await decodePixels(grey, limits), 0.5, 0.5), [128, 128, 128]);
    const palette = await plain(orange).png({ palette: true, colours: 4 }).toBuffer();
    expectClose(pixelAt(await decodePixels(palette, limits), 0.5, 0.5), orangeRgb);
  });

  it('takes the first frame of an animation', async () => {
    const frames = await Promise.all(['#ff0000', '#0000ff'].map((colour) => plain(colour).png().toBuffer()));
    const bytes = await sharp(frames, { join: { animated: true } })
      .webp({ lossless: true })
      .toBuffer();
    expect((await sharp(bytes).metadata()).pages).toBe(2);
    expectClose(pixelAt(await decodePixels(bytes, limits), 0.5, 0.5), [255, 0, 0]);
  });

  it('names what is wrong with a bad image by its code', async () => {
    const whole = await pattern(300, 200).jpeg().toBuffer();
    expect(await codeOf(Buffer.from('text'))).toBe('unsupported_type');
    expect(await codeOf(whole.subarray(0, 2000))).toBe('undecodable_image');
    expect(await codeOf(pngClaiming(30_000, 30_000))).toBe('image_too_large');
    expect(await codeOf(await plain(orange, 4, 300).png().toBuffer())).toBe('image_too_small');
    expect(await codeOf(Buffer.concat([whole, Buffer.alloc(limits.maxBytes)]))).toBe('too_large');
    expect(await codeOf(whole)).toBe('none');
  });

  it('does not change the bytes it was given', async () => {
    const bytes = await pattern().jpeg().toBuffer();
    const copy = Buffer.from(bytes);
    await decodePixels(bytes, limits);
    expect(bytes.equals(copy)).toBe(true);
  });
});
