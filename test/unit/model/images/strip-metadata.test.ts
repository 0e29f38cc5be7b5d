import fc from 'fast-check';
import sharp from 'sharp';
import { imageFormats, type ImageFormat } from '../../../../contracts/datasets/datasets.js';
import { decodePixels } from '../../../../model/images/decode.js';
import { stripMetadata } from '../../../../model/images/strip-metadata.js';

const limits = { maxPixels: 1_000_000, maxBytes: 1_000_000, minSide: 8 };
const secret = 'Ada of Somewhere';

/** An image whose corners differ, so that a rotated one is different. */
function colours(): Buffer {
  const [width, height] = [48, 32];
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0; at < width * height; at += 1) {
    pixels[at * 3] = Math.floor(((at % width) * 255) / width);
    pixels[at * 3 + 1] = Math.floor((Math.floor(at / width) * 255) / height);
    pixels[at * 3 + 2] = at % width < 16 ? 200 : 20;
  }
  return pixels;
}

function imageWith(format: ImageFormat, orientation: number): Promise<Buffer> {
  return sharp(colours(), { raw: { width: 48, height: 32, channels: 3 } })
    .toFormat(format)
    .withIccProfile('p3')
    .withExif({
      IFD0: { Artist: secret, Make: secret, Orientation: String(orientation) },
      IFD2: { UserComment: secret },
      IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1', GPSLongitudeRef: 'W', GPSLongitude: '0/1 7/1 0/1' },
    })
    .withMetadata({ orientation })
    .withXmp(`<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>${secret}</a></x:xmpmeta>`)
    .toBuffer();
}

function inserted(bytes: Buffer, at: number, part: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
}

describe('an image without metadata', () => {
  const cases = imageFormats.flatMap((format) => [1, 2, 3, 4, 5, 6, 7, 8].map((turn) => [format, turn] as const));

  it.each(cases)(
    'has the same pixels, colour profile and orientation: %s with orientation %i',
    async (format, orientation) => {
      const bytes = await imageWith(format, orientation);
      const before = await sharp(bytes).metadata();
      expect(before.exif?.length).toBeGreaterThan(100);
      const stripped = stripMetadata(bytes)?.bytes ?? new Uint8Array();
      expect(stripMetadata(bytes)?.format).toBe(format);
      const pixels = await decodePixels(stripped, limits);
      expect(Buffer.from(pixels).equals(await decodePixels(bytes, limits))).toBe(true);
      const after = await sharp(stripped).metadata();
      expect(after.orientation ?? 1).toBe(orientation);
      expect(after.icc).toEqual(before.icc);
      expect(after.xmp).toBeUndefined();
      expect(after.exif?.length ?? 0).toBeLessThan(40);
      expect(Buffer.from(stripped).includes(secret)).toBe(false);
    },
  );

  it('has no comment, thumbnail, Photoshop data, second image or trailing bytes of a JPEG', async () => {
    const plain = await sharp(colours(), { raw: { width: 48, height: 32, channels: 3 } })
      .jpeg({ progressive: true })
      .toBuffer();
    const secrets = Buffer.from(`${secret}\0`.repeat(3));
    const segment = (marker: number, head = ''): Buffer => {
      const body = Buffer.concat([Buffer.from(head, 'latin1'), secrets]);
      const lead = Buffer.from([0xff, marker, 0, 0]);
      lead.writeUInt16BE(body.length + 2, 2);
      return Buffer.concat([lead, body]);
    };
    const parts = [segment(0xfe), segment(0xed, 'Photoshop 3.0\0'), segment(0xe2, 'MPF\0'), segment(0xe0, 'JFXX\0')];
    // DNL, which decoders skip unread.
    parts.push(segment(0xdc));
    const bytes = Buffer.concat([inserted(plain, 2, Buffer.concat(parts)), plain, secrets]);
    const stripped = stripMetadata(bytes)?.bytes ?? new Uint8Array();
    expect(Buffer.from(stripped).includes(secret)).toBe(false);
    expect(stripped.length).toBeLessThanOrEqual(plain.length);
    const pixels = await decodePixels(stripped, limits);
    expect(Buffer.from(pixels).equals(await decodePixels(bytes, limits))).toBe(true);
  });

  it('has no text or time chunks of a PNG', async () => {
    const plain = await sharp(colours(), { raw: { width: 48, height: 32, channels: 3 } })
      .png()
      .toBuffer();
    const chunk = (type: string): Buffer => {
      const head = Buffer.alloc(8);
      head.writeUInt32BE(secret.length, 0);
      head.write(type, 4, 'latin1');
      return Buffer.concat([head, Buffer.from(secret), Buffer.alloc(4)]);
    };
    const bytes = inserted(plain, 33, Buffer.concat(['tEXt', 'iTXt', 'zTXt', 'tIME', 'prVt'].map(chunk)));
    const stripped = stripMetadata(Buffer.concat([bytes, Buffer.from(secret)]))?.bytes ?? new Uint8Array();
    expect(Buffer.from(stripped).includes(secret)).toBe(false);
    expect(Buffer.from(await decodePixels(stripped, limits)).equals(await decodePixels(plain, limits))).toBe(true);
  });

  it('does not change when it is stripped again', async () => {
    for (const format of imageFormats) {
      const once = stripMetadata(await imageWith(format, 6))?.bytes ?? new Uint8Array();
      expect(stripMetadata(once)?.bytes).toEqual(once);
    }
  });

  it('is null for malformed files, and never throws', async () => {
    const images = await Promise.all(imageFormats.map((format) => imageWith(format, 6)));
    const damaged = fc
      .tuple(fc.constantFrom(...images), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat())
      .map(([image, edits, cut]) => {
        const bytes = Buffer.from(image.subarray(0, (cut % image.length) + 1));
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        return bytes;
      });
    const heads = ['\xff\xd8\xff', '\x89PNG\r\n\x1a\n', 'RIFF\x20\0\0\0WEBP'].map((head) =>
      Buffer.from(head, 'latin1'),
    );
    const rubbish = fc
      .tuple(fc.constantFrom(...heads, Buffer.alloc(0)), fc.uint8Array({ maxLength: 200 }))
      .map(([head, rest]) => Buffer.concat([head, rest]));
    fc.assert(
      fc.property(fc.oneof(damaged, rubbish), (bytes) => {
        const stripped = stripMetadata(bytes);
        expect(stripped === null || stripped.bytes.length <= bytes.length + 64).toBe(true);
      }),
      { numRuns: 3_000 },
    );
    for (const image of images) expect(stripMetadata(image.subarray(0, image.length - 4))).toBeNull();
    expect(stripMetadata(Buffer.from('GIF89a'))).toBeNull();
  });
});
