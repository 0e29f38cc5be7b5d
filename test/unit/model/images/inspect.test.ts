import { createHash } from 'node:crypto';
import fc from 'fast-check';
import sharp from 'sharp';
import { nameOfType, sniffFormat } from '../../../../model/images/format.js';
import { inspectImage } from '../../../../model/images/inspect.js';
import { memoryHeld } from '../../../support/collect-garbage.js';
import { limits, pattern, pngClaiming } from './test-images.js';

async function reasonFor(bytes: Uint8Array, within = limits): Promise<string> {
  const inspection = await inspectImage(bytes, within);
  return inspection.ok ? 'accepted' : inspection.reason;
}

describe('the type of a file', () => {
  it('is detected by its first bytes if it is accepted', async () => {
    expect(sniffFormat(await pattern().jpeg().toBuffer())).toBe('jpeg');
    expect(sniffFormat(await pattern().png().toBuffer())).toBe('png');
    expect(sniffFormat(await pattern().webp().toBuffer())).toBe('webp');
    expect(sniffFormat(await pattern().gif().toBuffer())).toBeNull();
  });

  it('has a name for messages if it is refused', async () => {
    expect(nameOfType(await pattern().gif().toBuffer())).toBe('GIF image');
    expect(nameOfType(await pattern().tiff().toBuffer())).toBe('TIFF image');
    expect(nameOfType(await pattern().avif({ effort: 0 }).toBuffer())).toBe('AVIF image');
    expect(nameOfType(Buffer.from('\0\0\0\x18ftypheic', 'latin1'))).toBe('HEIC image');
    expect(nameOfType(Buffer.from('%PDF-1.7'))).toBe('PDF document');
    expect(nameOfType(Buffer.from('PK\x03\x04zip'))).toBe('ZIP archive');
    expect(nameOfType(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'))).toBe('SVG image');
    expect(nameOfType(Buffer.from(' <!DOCTYPE html><p>Not found</p>'))).toBe('HTML page');
    expect(nameOfType(Buffer.from('not an image, sorry: Löwenzahn\n'))).toBe('text');
    expect(nameOfType(Buffer.from([0, 1, 2, 3]))).toBe('unknown data');
    expect(nameOfType(Buffer.alloc(0))).toBe('empty file');
  });

  it('is text when the end of the first bytes cuts a character in two', () => {
    expect(nameOfType(Buffer.from(`${'x'.repeat(511)}ü and more`))).toBe('text');
  });
});

describe('inspectImage', () => {
  it('gives the facts of a good image', async () => {
    const bytes = await pattern(40, 30).png().toBuffer();
    const inspection = await inspectImage(bytes, limits);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const md5 = createHash('md5').update(bytes).digest('hex');
    const facts = { sha256, md5, sizeBytes: bytes.length, format: 'png', width: 40, height: 30 };
    expect(inspection).toMatchObject({ ok: true, facts });
  });

  it('gives the stored width and height, whatever the EXIF orientation', async () => {
    const sideways = await pattern(40, 30).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(await inspectImage(sideways, limits)).toMatchObject({ ok: true, facts: { width: 40, height: 30 } });
  });

  it('refuses text, GIF and an empty file by content', async () => {
    expect(await reasonFor(Buffer.from('this is photo.jpg, honestly'))).toBe('unsupported_type');
    expect(await reasonFor(await pattern().gif().toBuffer())).toBe('unsupported_type');
    expect(await reasonFor(Buffer.alloc(0))).toBe('unsupported_type');
  });

  it.each([0.1, 0.5, 0.9, 0.99])('calls an image cut off at %d of its length truncated', async (share) => {
    for (const bytes of [
      await pattern(300, 200).jpeg().toBuffer(),
      await pattern(300, 200).jpeg({ progressive: true }).toBuffer(),
      await pattern(300, 200).png().toBuffer(),
      await pattern(300, 200).webp().toBuffer(),
    ]) {
      expect(await reasonFor(bytes.subarray(0, Math.floor(bytes.length * share)))).toBe('truncated');
    }
  });

  it('calls a whole PNG with damaged pixels undecodable', async () => {
    const bytes = await pattern(100, 100).png().toBuffer();
    bytes.fill(0x55, 100, 200);
    expect(await reasonFor(bytes)).toBe('undecodable');
  });

  it('refuses a pixel bomb by its header', async () => {
    const inspection = await inspectImage(pngClaiming(30_000, 30_000), limits);
    expect(inspection).toMatchObject({ ok: false, reason: 'too_many_pixels' });
    expect(inspection.ok ? '' : inspection.detail).toContain('30000×30000');
  });

  it('refuses a real pixel bomb without the memory its pixels would take', async () => {
    const bomb = await sharp({ create: { width: 12_000, height: 12_000, channels: 3, background: '#fff' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    expect(bomb.length).toBeLessThan(1_000_000);
    const before = memoryHeld().rss;
    expect(await reasonFor(bomb)).toBe('too_many_pixels');
    expect(memoryHeld().rss - before).toBeLessThan(50_000_000);
  });

  it('applies the limits to the exact pixel and byte', async () => {
    const bytes = await pattern(20, 10).png().toBuffer();
    expect(await reasonFor(bytes, { maxPixels: 200, maxBytes: bytes.length, minSide: 10 })).toBe('accepted');
    expect(await reasonFor(bytes, { ...limits, maxPixels: 199 })).toBe('too_many_pixels');
    expect(await reasonFor(bytes, { ...limits, maxBytes: bytes.length - 1 })).toBe('too_many_bytes');
    expect(await reasonFor(bytes, { ...limits, minSide: 11 })).toBe('too_small');
    expect(await reasonFor(await pattern(1, 1).png().toBuffer())).toBe('too_small');
  });
});

describe('whatever bytes come', () => {
  const known = ['accepted', 'unsupported_type', 'undecodable', 'truncated', 'too_small', 'too_many_pixels'];
  const heads = ['', '\xff\xd8\xff', '\x89PNG\r\n\x1a\n', 'RIFF\x20\0\0\0WEBPVP8 '];

  it('random ones end in a known result', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 400 }), async (head, tail) => {
        expect(known).toContain(await reasonFor(Buffer.concat([Buffer.from(head, 'latin1'), tail])));
      }),
      { numRuns: 300 },
    );
  });

  it.each(['jpeg', 'png', 'webp'] as const)('mutated %s images end in a known result', async (format) => {
    const original = await pattern(60, 40).toFormat(format).toBuffer();
    const changes = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(changes, async (mutations) => {
        const bytes = Buffer.from(original);
        for (const [position, value] of mutations) bytes[position] = value;
        expect(known).toContain(await reasonFor(bytes));
      }),
      { numRuns: 200 },
    );
  });
});
